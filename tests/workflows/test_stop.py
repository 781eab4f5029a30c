"""What a worker does with the work in its hands when it is told to stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.adapters.job_setup import DATABASES, fresh_database
from tests.postgres_server import PASSWORD, postgres_server
from tests.relay import relay
from tests.speech_samples import speak, write_wav
from tests.workflows.fleet import running_fleet
from tests.workflows.recordings import SENTENCE, long_speech
from tests.workflows.service import SPEECH, Service, eventually, processes_below


@pytest.fixture(params=DATABASES)
def url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with fresh_database(tmp_path, request.param, migrated=False) as made:
        yield made


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("short") / "garden.wav", speak(SENTENCE))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("long") / "lecture.wav", long_speech())


@contextmanager
def web_and_worker(
    folder: Path, database_url: str, *, grace_s: float
) -> Iterator[tuple[Service, Service]]:
    grace = {"PROOFREEL_STOP_GRACE_S": str(grace_s)}
    with running_fleet(folder, database_url, {}, workers=1, **grace) as fleet:
        yield fleet.web, fleet.workers[0]
    assert processes_below(folder) == []


def heartbeats(web: Service) -> int:
    [(count,)] = web.query("select count(*) from proofreel_worker")
    return int(count)


def winding_down(worker: Service) -> bool:
    return "worker_winding_down" in worker.log.read_text()


def assert_nothing_is_left(worker: Service) -> None:
    eventually(lambda: not worker.processes(), within_s=5, what="the end of its children")
    assert "Traceback" not in worker.log.read_text()


def test_what_can_finish_in_time_is_finished_and_nothing_new_is_begun(
    tmp_path: Path, url: str, short: Path
) -> None:
    with web_and_worker(tmp_path, url, grace_s=60) as (web, worker):
        job_id = web.submit(short)
        eventually(lambda: worker.events(job_id, "hop_started"), what="the first hop")
        worker.process.terminate()
        eventually(lambda: winding_down(worker))
        late = web.submit(short)
        assert worker.process.wait(60) == 0
        assert_nothing_is_left(worker)

        assert web.job(job_id)["status"] == "completed"
        assert web.job(late)["status"] == "queued"
        assert heartbeats(web) == 0
        done = "select status from workflow_status where workflow_uuid = ?"
        assert web.query(done, f"{job_id}-1") == [("SUCCESS",)]


def test_what_cannot_finish_goes_on_at_once_when_the_worker_starts_again(
    tmp_path: Path, url: str, long: Path
) -> None:
    with web_and_worker(tmp_path, url, grace_s=1) as (web, worker):
        job_id = web.submit(long)
        eventually(lambda: worker.processes(SPEECH), what="the recogniser")
        told_s = time.monotonic()
        worker.process.terminate()
        assert worker.process.wait(10) == 0
        assert 1 <= time.monotonic() - told_s < 5
        assert_nothing_is_left(worker)
        assert (web.job(job_id)["status"], heartbeats(web)) == ("processing", 0)

        worker.start()

        def stages(event: str) -> list[str]:
            return [str(line["stage"]) for line in worker.events(job_id, event)]

        eventually(
            lambda: stages("hop_started").count("transcribe") == 2,
            within_s=15,
            what="the hop it was at",
        )
        web.finished(job_id)
        assert len(stages("hop_finished")) == len(set(stages("hop_finished")))


def test_an_idle_worker_stops_at_once(tmp_path: Path, url: str) -> None:
    with web_and_worker(tmp_path, url, grace_s=60) as (web, worker):
        eventually(lambda: heartbeats(web) == 1, what="the worker")
        time.sleep(2)  # past its start
        told_s = time.monotonic()
        worker.process.terminate()
        assert worker.process.wait(10) == 0
        assert time.monotonic() - told_s < 2
        assert heartbeats(web) == 0


def test_a_second_signal_stops_a_worker_in_the_middle(tmp_path: Path, url: str, long: Path) -> None:
    with web_and_worker(tmp_path, url, grace_s=60) as (web, worker):
        web.submit(long)
        eventually(lambda: worker.processes(SPEECH), what="the recogniser")
        worker.process.terminate()
        eventually(lambda: winding_down(worker))
        assert worker.process.poll() is None
        worker.process.terminate()
        assert worker.process.wait(2) == 0
        assert_nothing_is_left(worker)


def test_a_silent_database_does_not_hold_up_the_end(tmp_path: Path, long: Path) -> None:
    server = postgres_server()
    with fresh_database(tmp_path, "postgresql") as near, relay(server.port) as network:
        name = make_url(near).database
        far = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{network.port}/{name}"
        with web_and_worker(tmp_path, far, grace_s=1) as (web, worker):
            web.submit(long)
            eventually(lambda: worker.processes(SPEECH), what="the recogniser")
            network.fall_silent()
            told_s = time.monotonic()
            worker.process.terminate()
            assert worker.process.wait(15) == 0
            assert time.monotonic() - told_s < 1 + 3 + 3  # the grace, the farewell, to spare
            assert_nothing_is_left(worker)
