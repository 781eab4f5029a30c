from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.adapters.job_setup import fresh_database
from tests.postgres_server import PASSWORD, postgres_server
from tests.relay import relay
from tests.s3.bucket import environment_of, fresh_bucket
from tests.speech_samples import speak, write_wav
from tests.workflows.fleet import Fleet, running_fleet
from tests.workflows.recordings import SENTENCE, long_speech
from tests.workflows.service import SPEECH, Service, eventually, processes_below

HOPS = ("probe", "extract", "transcribe", "silence", "subtitles", "report", "publish")
JOBS = 12


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with fresh_database(tmp_path, "postgresql", migrated=False) as made:
        yield made


def begun(worker: Service, event: str = "hop_started") -> Counter[tuple[str, str]]:
    """Return how often `worker` logged `event`, by job and hop."""
    lines = [json.loads(line) for line in worker.log_lines() if line.startswith("{")]
    return Counter(
        (line["job_id"], line["stage"])
        for line in lines
        if line.get("event") == event and "job_id" in line
    )


def at_hop(worker: Service, stage: str) -> set[str]:
    """Return the jobs that `worker` has begun this hop of and not finished."""
    under_way = begun(worker) - begun(worker, "hop_finished")
    return {job_id for job_id, hop in under_way if hop == stage}


def checkpoints(web: Service, job_id: str) -> dict[str, int]:
    """Return what the engine holds of each hop of the job."""
    rows = web.query(
        "select function_name, count(*) from operation_outputs"
        " where workflow_uuid = ? group by function_name",
        f"{job_id}-1",
    )
    return {str(name): int(count) for name, count in rows}


def cut_short(web: Service, dead: Service) -> dict[str, set[str]]:
    """Return the hops of each job that `dead` began and left no checkpoint of."""
    found: dict[str, set[str]] = {}
    for job_id, stage in begun(dead):
        if stage not in checkpoints(web, job_id):
            found.setdefault(job_id, set()).add(stage)
    return found


def assert_done_once(fleet: Fleet, job_id: str, repeated: Set[str] = frozenset()) -> None:
    """The hops in `repeated` were cut short once, and nothing else was done twice."""
    job = fleet.web.finished(job_id)
    assert (job["attempt"], job["progress"]) == (1, 100)
    started = Counter(line["stage"] for line in fleet.events(job_id, "hop_started"))
    assert started == {hop: 2 if hop in repeated else 1 for hop in HOPS}
    finished = Counter(line["stage"] for line in fleet.events(job_id, "hop_finished"))
    assert {hop: finished[hop] for hop in HOPS if hop not in repeated} == {
        hop: 1 for hop in HOPS if hop not in repeated
    }
    assert checkpoints(fleet.web, job_id) == dict.fromkeys(HOPS, 1)
    workflow = "select status from workflow_status where workflow_uuid = ?"
    eventually(
        lambda: fleet.web.query(workflow, f"{job_id}-1") == [("SUCCESS",)],
        within_s=5,
        what="the engine's own note of the end",
    )


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings of the storage that all share; none: one folder."""
    return environment_of(fresh_bucket()) if request.param == "bucket" else {}


def test_two_workers_do_each_job_once_though_one_of_them_is_killed(
    tmp_path: Path, url: str, storage: dict[str, str]
) -> None:
    recordings = [
        write_wav(tmp_path / f"talk{number}.wav", speak(f"Talk number {number}. {SENTENCE}"))
        for number in range(JOBS)
    ]
    with running_fleet(tmp_path, url, storage) as fleet:
        ids = [fleet.web.submit(recording) for recording in recordings]
        victim, other = fleet.workers
        eventually(lambda: at_hop(other, "transcribe"), what="work of the other")
        eventually(lambda: at_hop(victim, "transcribe"), what="work of the victim")
        os.kill(victim.process.pid, signal.SIGKILL)
        victim.process.wait(10)
        repeated = cut_short(fleet.web, victim)
        eventually(lambda: not victim.processes(), within_s=8, what="the end of its children")

        for job_id in ids:
            assert_done_once(fleet, job_id, repeated.get(job_id, set()))
            words = fleet.web.file(job_id, "plain_text").text.replace("\n", " ")
            assert "children play in the garden" in words
        assert repeated
        assert all(other.events(job_id, "hop_started") for job_id in repeated)
        left = fleet.web.query("select count(*) from workflow_status where status <> 'SUCCESS'")
        assert left == [(0,)]
        assert [line for line in other.log_lines() if "housekeeping_" in line] == []
    assert processes_below(tmp_path) == []


def test_a_worker_told_to_stop_hands_its_job_to_the_other_within_seconds(
    tmp_path: Path, url: str
) -> None:
    recording = write_wav(tmp_path / "lecture.wav", long_speech())
    with running_fleet(tmp_path, url, {}, PROOFREEL_STOP_GRACE_S="0.5") as fleet:
        job_id = fleet.web.submit(recording)
        first = eventually(lambda: [w for w in fleet.workers if at_hop(w, "transcribe")])[0]
        second = next(worker for worker in fleet.workers if worker is not first)
        eventually(lambda: first.processes(SPEECH), what="the recogniser")
        first.process.terminate()
        assert first.process.wait(10) == 0
        stopped_s = time.monotonic()
        eventually(lambda: not first.processes(), within_s=5, what="the end of its children")

        eventually(lambda: at_hop(second, "transcribe"), within_s=25, what="the takeover")
        assert time.monotonic() - stopped_s < 25, "long before its silence would have told"
        assert_done_once(fleet, job_id, {"transcribe"})


@pytest.mark.parametrize("accident", ["cut", "silent"])
def test_web_and_worker_go_on_when_the_database_comes_back(
    tmp_path: Path, url: str, accident: str
) -> None:
    recording = write_wav(tmp_path / "lecture.wav", long_speech())
    server = postgres_server()
    with relay(server.port) as network:
        far = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{network.port}/{make_url(url).database}"
        with running_fleet(tmp_path, far, {}, workers=1) as fleet:
            worker = fleet.workers[0]
            job_id = fleet.web.submit(recording)
            eventually(lambda: at_hop(worker, "transcribe"), what="transcription")
            if accident == "cut":
                network.cut()
            else:
                network.fall_silent()
            asked_s = time.monotonic()
            answer = fleet.web.client.get(f"/v1/jobs/{job_id}")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert time.monotonic() - asked_s < 25
            time.sleep(3)
            network.restore()

            assert_done_once(fleet, job_id)
            assert_done_once(fleet, fleet.web.submit(recording))
            assert PASSWORD not in fleet.web.log.read_text() + worker.log.read_text()
            assert all(half.process.poll() is None for half in (fleet.web, worker))
