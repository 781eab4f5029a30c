"""What is counted, as Prometheus reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from proofreel.adapters.census import Census, take_census
from proofreel.adapters.database import DatabaseUnavailable
from proofreel.adapters.metrics import SHARED_FOLDER, Metrics, MetricsAddressUnusable
from tests.adapters.job_setup import job_setup
from tests.ports import free_port

# A process that counts into the shared folder, prints what all have counted, and may stay.
COUNT = """
import sys
from proofreel.adapters.metrics import open_metrics
from proofreel.logs import configure_logging
configure_logging("json")
metrics = open_metrics()
metrics.job_ended("completed")
metrics.stage_finished("probe", 0.2)
metrics.model_loaded("base", 2.0)
print(metrics.page().decode(), flush=True)
print("end of page", flush=True)
sys.stdin.read()
"""


def families(page: bytes) -> dict[str, Metric]:
    return {found.name: found for found in text_string_to_metric_families(page.decode())}


def value(page: bytes, name: str, **labels: str) -> float | None:
    """Return the value of the one sample with these labels."""
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def filled() -> Metrics:
    metrics = Metrics()
    metrics.stage_finished("transcribe", 12)
    metrics.recognised(2, audio_s=20)
    metrics.model_loaded("base", 3)
    metrics.job_ended("failed")
    metrics.delivery_tried("retry")
    metrics.request_answered("GET", "/v1/jobs/<job_id>", 200, 0.01)
    metrics.watch_jobs(lambda: Census({("queued", ""): 2, ("processing", "scale"): 1}, 7.5))
    return metrics


def test_every_figure_has_its_help_its_unit_and_a_name_of_ours() -> None:
    for name, family in families(filled().page()).items():
        assert name.startswith("proofreel_"), name
        assert name == name.lower()
        assert family.documentation.endswith("."), name
        if family.type == "histogram":
            assert name.endswith(("_seconds", "_factor")), name
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith("_total")
            else:
                assert not sample.name.endswith(("_total", "_created")), sample


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here")
def test_promtool_has_nothing_to_say_about_the_page() -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=filled().page(), capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_counters_of_what_may_never_happen_start_at_zero() -> None:
    page = Metrics().page()

    assert value(page, "proofreel_jobs_finished_total", status="failed") == 0
    assert value(page, "proofreel_webhook_deliveries_total", outcome="failed") == 0
    assert value(page, "proofreel_stage_seconds_count", stage="publish") == 0


def test_jobs_are_counted_by_status_and_stage_when_somebody_looks(tmp_path: Path) -> None:
    metrics = Metrics()
    with job_setup(tmp_path) as setup:
        metrics.watch_jobs(lambda: take_census(setup.engine))
        jobs = [setup.jobs.submit(setup.spec(b"x" * n, f"{n}.mp3")) for n in range(1, 5)]
        setup.ledger.start(jobs[0].id, 1, "transcribe", 5)
        setup.jobs.cancel(jobs[1].id)
        page = metrics.page()

    counted = {
        (sample.labels["status"], sample.labels["stage"]): sample.value
        for sample in families(page)["proofreel_jobs"].samples
    }
    assert counted == {
        ("queued", "none"): 2,
        ("processing", "transcribe"): 1,
        ("cancelled", "none"): 1,
        ("completed", "none"): 0,
        ("failed", "none"): 0,
    }
    age_s = value(page, "proofreel_queue_oldest_age_seconds")
    assert age_s is not None
    assert 0 < age_s < 60


def test_a_silent_database_hides_the_jobs_and_nothing_else() -> None:
    metrics = Metrics()
    metrics.job_ended("completed")

    def fail() -> Census:
        raise DatabaseUnavailable("it is a test")

    metrics.watch_jobs(fail)

    assert "proofreel_jobs" not in families(metrics.page())
    assert value(metrics.page(), "proofreel_jobs_finished_total", status="completed") == 1


def test_labels_are_never_what_a_stranger_sent() -> None:
    metrics = Metrics()
    metrics.request_answered("BREW", None, 404, 0.01)

    labels = {"method": "other", "route": "none", "status": "404"}
    assert value(metrics.page(), "proofreel_http_requests_total", **labels) == 1


def test_a_job_that_ends_is_counted_once_however_often_its_step_is_run(tmp_path: Path) -> None:
    ended: list[str] = []
    with job_setup(tmp_path, ended=ended.append) as setup:
        done = setup.jobs.submit(setup.spec())
        setup.ledger.start(done.id, 1, "publish", 99)
        for _ in range(2):
            setup.ledger.complete(done.id, 1, setup.result(), None)
        gone = setup.jobs.submit(setup.spec(b"other"))
        setup.jobs.cancel(gone.id)

    assert ended == ["completed", "cancelled"]


def test_sound_of_no_length_has_no_factor() -> None:
    metrics = Metrics()
    metrics.recognised(1.0, audio_s=0.0)

    assert value(metrics.page(), "proofreel_realtime_factor_count") == 0


def _counting(folder: Path) -> tuple[subprocess.Popen[bytes], bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", COUNT],
        env={**os.environ, SHARED_FOLDER: str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    lines = iter(process.stdout.readline, b"end of page\n")
    return process, b"".join(lines)


def test_processes_share_a_folder_and_restarts_neither_lose_nor_pile_up(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    stays, first = _counting(folder)
    killed, second = _counting(folder)
    killed.kill()
    killed.communicate()
    files = sorted(path.name for path in folder.iterdir())
    again, third = _counting(folder)
    for process in (stays, again):
        process.communicate()
        assert process.returncode == 0

    pages = (first, second, third)
    done = [value(page, "proofreel_jobs_finished_total", status="completed") for page in pages]
    assert done == [1, 2, 3]
    loads = [value(page, "proofreel_model_loads_total", model="base") for page in pages]
    assert loads == [1, 2, 3]
    assert value(third, "proofreel_stage_seconds_count", stage="probe") == 3
    assert value(third, "proofreel_stage_seconds_bucket", stage="probe", le="0.25") == 3
    assert sorted(path.name for path in folder.iterdir()) == files, "a restart takes a free slot"
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=third, check=True)


def test_a_full_disk_neither_ends_a_process_nor_hides_its_own_figures(tmp_path: Path) -> None:
    blocked = tmp_path / "metrics"
    blocked.write_text("no folder")
    process, page = _counting(blocked)
    process.communicate()

    assert process.returncode == 0
    assert value(page, "proofreel_jobs_finished_total", status="completed") == 1


def test_the_shared_files_have_all_the_room_they_need_from_the_start(tmp_path: Path) -> None:
    process, _ = _counting(tmp_path / "metrics")
    process.communicate()

    for file in (tmp_path / "metrics").glob("*.db"):
        about = file.stat()
        assert about.st_blocks * 512 >= about.st_size == 1024 * 1024, file.name


def test_a_worker_by_itself_offers_its_figures_over_http() -> None:
    port = free_port()
    metrics = filled()
    server, thread = metrics.offer("127.0.0.1", port)
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
        with pytest.raises(MetricsAddressUnusable, match=f"port {port}: Address already in use"):
            metrics.offer("127.0.0.1", port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    assert value(answer.content, "proofreel_model_loads_total", model="base") == 1
