"""Does it live, is it ready, how does it go."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from proofreel import readiness
from proofreel.adapters.metrics import CONTENT_TYPE, Metrics
from proofreel.adapters.models import ModelStore
from proofreel.adapters.storage import StorageUnavailable
from proofreel.web.health import Finding, HealthChecks
from tests.model_fixtures import model_store, models_root
from tests.web.helpers import Site, body, open_site

PARTS = {"database", "storage", "model", "disk", "workers"}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models that holds `tiny.en` under the name of the default model."""
    model_store("tiny.en")
    shutil.copytree(models_root() / "tiny.en", tmp_path / "models" / "tiny.en")
    return tmp_path / "models"


def questions(site: Site, models: Path, *, min_free_bytes: int = 0) -> dict[str, Callable[[], str]]:
    return dict(
        readiness.checks(
            site.services.jobs,
            site.services.storage,
            ModelStore(models),
            model="tiny.en",
            data_path=site.folder,
            min_free_bytes=min_free_bytes,
        )
    )


def test_a_service_lives_whatever_it_depends_on(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file where the folder should be")
    with open_site(tmp_path) as site:
        answer = site.client.get("/health")

    assert answer.status_code == 200
    assert set(body(answer)) == {"status", "version"}
    assert body(answer)["status"] == "healthy"


def test_readiness_needs_no_key_and_tells_every_part(site: Site, models: Path) -> None:
    with open_site(site.folder, checks=questions(site, models)) as ready:
        answer = ready.client.get("/health/ready")

    assert answer.status_code == 200
    assert body(answer)["status"] == "ready"
    found = body(answer)["checks"]
    assert set(found) == PARTS
    for part in found.values():
        assert set(part) == {"status", "message"}
        assert part["message"].endswith(".")
    assert found["workers"]["message"] == "No worker is at work: jobs wait in the queue."


@pytest.mark.parametrize(
    ("part", "sabotage"),
    [
        ("storage", lambda folder: (folder / "files").write_text("no folder")),
        ("database", lambda folder: (folder / "web.sqlite").rename(folder / "gone")),
        ("model", lambda folder: (folder / "models" / "tiny.en" / "model.bin").unlink()),
    ],
)
def test_readiness_names_the_part_that_fails_and_no_path(
    tmp_path: Path, models: Path, part: str, sabotage: Callable[[Path], object]
) -> None:
    with open_site(tmp_path) as site:
        asked = questions(site, models)
        sabotage(tmp_path)
        with open_site(tmp_path / "web", checks=asked) as failing:
            answer = failing.client.get("/health/ready")

    assert answer.status_code == 503
    assert body(answer)["status"] == "not_ready"
    failed = {name for name, found in body(answer)["checks"].items() if found["status"] != "ok"}
    assert part in failed - {"workers"}
    assert failed <= {part, "workers"}
    assert str(tmp_path) not in answer.text


def test_a_full_disk_makes_it_not_ready_and_the_setting_is_named(site: Site, models: Path) -> None:
    asked = questions(site, models, min_free_bytes=10**18)
    with open_site(site.folder, checks=asked) as full:
        answer = full.client.get("/health/ready")

    assert answer.status_code == 503
    assert "PROOFREEL_MIN_FREE_BYTES" in body(answer)["checks"]["disk"]["message"]


def test_a_model_on_a_living_worker_is_enough(site: Site, tmp_path: Path) -> None:
    asked = questions(site, tmp_path / "no models")
    with pytest.raises(Exception, match="not on this machine"):
        asked["model"]()

    site.ledger.beat("other-machine-slot0")

    assert asked["model"]() == "A worker has the speech model “tiny.en”."
    assert asked["workers"]() == "1 worker is at work."


def test_a_model_is_read_through_once_and_again_only_when_it_changed(
    site: Site, models: Path
) -> None:
    check = questions(site, models)["model"]
    assert check() == check() == "The speech model “tiny.en” is here."
    with (models / "tiny.en" / "model.bin").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"damage")

    with pytest.raises(Exception, match=r"model\.bin .* is damaged"):
        check()


def test_many_questions_ask_the_parts_once() -> None:
    now = [0.0]
    asked: list[float] = []

    def check() -> str:
        asked.append(now[0])
        raise StorageUnavailable("store a file", "it is a test")

    checks = HealthChecks({"storage": check}, clock=lambda: now[0])
    with capture_logs() as logged:
        answers = [checks.ask() for _ in range(5)]
        now[0] = 2.5
        checks.ask()

    assert asked == [0.0, 2.5]
    sentence = "The file storage could not store a file. Try again later."
    assert answers[0]["storage"] == Finding("failed", sentence)
    changes = [line for line in logged if line["event"] == "check_changed"]
    assert [(line["check"], line["detail"]) for line in changes] == [("storage", "it is a test")]


def test_a_part_that_hangs_is_told_in_time_and_not_asked_twice_at_once() -> None:
    now, asked, goes_on = [0.0], [], threading.Event()

    def hang() -> str:
        asked.append(1)
        goes_on.wait(30)
        return "At last."

    checks = HealthChecks(
        {"storage": hang, "disk": lambda: "Room."}, clock=lambda: now[0], deadline_s=0.1
    )
    first = checks.ask()
    now[0] = 10
    second = checks.ask()
    assert first == second
    assert first["storage"] == Finding("failed", "It does not answer.")
    assert first["disk"] == Finding("ok", "Room.")
    assert len(asked) == 1

    goes_on.set()
    patient = HealthChecks({"storage": hang}, deadline_s=5)
    assert patient.ask()["storage"] == Finding("ok", "At last.")


def test_a_check_with_a_bug_fails_its_part_only() -> None:
    def broken() -> str:
        raise KeyError("/etc/secret")

    found = HealthChecks({"model": broken, "disk": lambda: "Room."}).ask()

    assert found["disk"].status == "ok"
    assert found["model"] == Finding("failed", "It could not be looked at; see the log.")


def test_the_figures_need_the_key_and_tell_requests_by_their_rule(tmp_path: Path) -> None:
    metrics = Metrics()
    with open_site(
        tmp_path, metrics_page=metrics.page, on_request=metrics.request_answered
    ) as site:
        assert site.client.get("/metrics").status_code == 401
        job_id = site.submit()
        site.get(f"/v1/jobs/{job_id}")
        site.get("/no/such/page?key=secret")
        answer = site.get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    counted = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == "proofreel_http_requests_total"
    }
    assert counted == {
        ("GET", "/metrics", "401"): 1,
        ("POST", "/v1/jobs", "202"): 1,
        ("GET", "/v1/jobs/<job_id>", "200"): 1,
        ("GET", "none", "404"): 1,
    }
    assert job_id not in answer.text
