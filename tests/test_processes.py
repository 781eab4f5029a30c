from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from proofreel.processes import (
    AddressUnusable,
    TooManyWorkers,
    check_address,
    claim_worker_slot,
)
from tests.speech_samples import write_wav
from tests.workflows.recordings import long_speech
from tests.workflows.service import (
    SPEECH,
    environment,
    eventually,
    processes_below,
    run_cli,
    running,
)

# A supervisor over children of our own; what they are comes as arguments.
SUPERVISE = """
import sys
GRACE_S = 20
from proofreel.processes import Supervisor
children = {f"child{n}": [sys.executable, "-c", code] for n, code in enumerate(sys.argv[1:])}
sys.exit(Supervisor(children, grace_s=GRACE_S).run())
"""
# Says that it started, then stays until its parent goes.
STAY = """
import pathlib, signal, os
from proofreel.processes import die_with_parent
die_with_parent()
with open(os.environ["STARTS"], "a") as starts:
    starts.write(f"{os.getpid()}\\n")
while True:
    signal.pause()
"""


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    return tmp_path / "starts"


def _supervise(folder: Path, starts: Path, *children: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, *children],
        env=environment(folder, STARTS=str(starts)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _pids(starts: Path) -> list[int]:
    return [int(line) for line in starts.read_text().split()] if starts.exists() else []


def test_a_child_that_dies_is_started_again(tmp_path: Path, starts: Path) -> None:
    supervisor = _supervise(tmp_path, starts, STAY)
    try:
        eventually(lambda: len(_pids(starts)) == 1, what="the child")
        os.kill(_pids(starts)[0], signal.SIGKILL)
        eventually(lambda: len(_pids(starts)) == 2, what="the child again")
    finally:
        supervisor.terminate()
        assert supervisor.wait(30) == 0
    assert processes_below(tmp_path) == []


def test_children_go_when_their_parent_is_killed(tmp_path: Path, starts: Path) -> None:
    supervisor = _supervise(tmp_path, starts, STAY, STAY)
    try:
        eventually(lambda: len(_pids(starts)) == 2, what="both children")
    finally:
        supervisor.kill()
        supervisor.wait(10)
    eventually(lambda: not processes_below(tmp_path), within_s=5, what="the end of all")


def test_a_child_whose_settings_are_wrong_ends_everything(tmp_path: Path, starts: Path) -> None:
    supervisor = _supervise(tmp_path, starts, STAY, "raise SystemExit(2)")
    assert supervisor.wait(30) == 2
    assert processes_below(tmp_path) == []


def test_a_child_that_does_not_heed_sigterm_is_killed_in_the_end(
    tmp_path: Path, starts: Path
) -> None:
    deaf = STAY.replace("die_with_parent()\n", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n", 1)
    impatient = SUPERVISE.replace("GRACE_S = 20", "GRACE_S = 0.5")
    assert "SIG_IGN" in deaf
    supervisor = subprocess.Popen(
        [sys.executable, "-c", impatient, deaf],
        env=environment(tmp_path, STARTS=str(starts)),
        start_new_session=True,
    )
    try:
        eventually(lambda: _pids(starts), what="the child")
        supervisor.terminate()
        assert supervisor.wait(30) == 0
        assert processes_below(tmp_path) == []
    finally:
        for left in processes_below(tmp_path):
            os.kill(left.pid, signal.SIGKILL)
        supervisor.wait(10)


def test_workers_of_one_machine_have_different_ids_and_a_freed_one_is_used_again(
    tmp_path: Path,
) -> None:
    first, first_lock = claim_worker_slot(tmp_path, slots=2)
    second, second_lock = claim_worker_slot(tmp_path, slots=2)
    assert first != second
    with pytest.raises(TooManyWorkers):
        claim_worker_slot(tmp_path, slots=2)
    first_lock.close()
    third, third_lock = claim_worker_slot(tmp_path, slots=2)
    assert third == first
    second_lock.close()
    third_lock.close()


def test_workers_of_hosts_of_one_name_have_different_ids(tmp_path: Path) -> None:
    ids = set()
    for folder in ("one", "other"):
        executor_id, lock = claim_worker_slot(tmp_path / folder)
        lock.close()
        ids.add(executor_id)
        assert executor_id.startswith(f"{socket.gethostname()}-")
        assert executor_id.endswith("-slot0")
        again, lock = claim_worker_slot(tmp_path / folder)
        lock.close()
        assert again == executor_id, "stable over restarts"
    assert len(ids) == 2


def test_nothing_of_a_killed_service_is_left_even_in_the_middle_of_a_job(tmp_path: Path) -> None:
    recording = write_wav(tmp_path / "lecture.wav", long_speech())
    with running(tmp_path) as service:
        job_id = service.submit(recording)
        service.transcribing(job_id)
        # parent, gunicorn's arbiter and its worker, our worker, the recogniser
        assert len(service.processes()) >= 5
        service.process.kill()
        service.process.wait(10)
        eventually(lambda: not service.processes(), within_s=8, what="the end of all")
        service.client.close()

        service.start()  # and what was in hand goes on
        service.finished(job_id)
        started = [line["stage"] for line in service.events(job_id, "hop_started")]
        assert started.count("extract") == 1
        eventually(lambda: service.processes(SPEECH))
    assert processes_below(tmp_path) == []


def test_web_and_worker_also_run_apart(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp3"
    text.write_text("no sound")
    with running(tmp_path, "web") as web:
        job_id = web.submit(text)
        assert web.job(job_id)["status"] == "queued"
        with running(tmp_path, "worker") as worker:
            web.finished(job_id, status="failed")
            assert not [line for line in worker.log_lines() if "housekeeping" in line]
            assert worker.process.poll() is None
            assert web.process.poll() is None


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_cli(environment(tmp_path, PROOFREEL_PORT=str(port)), "serve", timeout_s=30)
    assert ended.returncode == 2
    assert "PROOFREEL_PORT" in ended.stderr
    assert str(port) in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_address_of_no_machine_is_told() -> None:
    with pytest.raises(AddressUnusable, match="no such address"):
        check_address("no such host", 8000)
