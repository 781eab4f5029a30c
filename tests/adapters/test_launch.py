from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proofreel.adapters.launch import ChildLimits, ChildNotStarted, ChildResult, run_child
from proofreel.core.model import NullMonitor
from proofreel.errors import JobCancelled, TimeLimitExceeded

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
OPEN = ChildLimits(confine=False)


def shell(
    script: str,
    *,
    limits: ChildLimits = OPEN,
    timeout_s: float = 20,
    readable: tuple[Path, ...] = (),
    writable: tuple[Path, ...] = (),
) -> tuple[ChildResult, list[str]]:
    """Run a shell script; return how it ended and what it printed."""
    lines: list[str] = []
    result = run_child(
        ["/bin/sh", "-c", script],
        action="try",
        limits=limits,
        timeout_s=timeout_s,
        on_stdout_line=lines.append,
        readable=readable,
        writable=writable,
    )
    return result, lines


def alive(pid: int) -> bool:
    """Say whether a process runs; one that is dead and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return sys.platform != "linux"
        return False
    return state not in "ZX"


def wait_until_dead(pid: int) -> None:
    while alive(pid):  # the test's own time limit ends a wait in vain
        time.sleep(0.02)


class CancelWhen:
    """A Monitor that cancels once a file is there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def progress(self, fraction: float) -> None:
        pass

    def check(self) -> None:
        if self.path.exists():
            raise JobCancelled


STUBBORN = """
trap '' TERM
( trap '' TERM; echo $$ > /dev/null; while :; do sleep 0.1; done ) &
echo $$ $! > "{pids}.part"; mv "{pids}.part" "{pids}"
while :; do sleep 0.1; done
"""


def test_output_arrives_line_by_line_and_the_end_is_told() -> None:
    result, lines = shell("printf 'one\\ntwo\\r\\nthree'; echo problem >&2; exit 3")

    assert lines == ["one", "two", "three"]
    assert (result.returncode, result.stderr, result.last_line) == (3, "problem\n", "problem")


def test_only_the_end_of_a_long_complaint_is_kept() -> None:
    result, _ = shell("i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done")

    assert len(result.stderr) == 8192
    assert result.last_line == "line 2999"


def test_a_line_without_end_arrives_in_pieces() -> None:
    _, lines = shell("head -c 300000 /dev/zero | tr '\\0' x")

    assert sum(map(len, lines)) == 300_000
    assert max(map(len, lines)) < 200_000


def test_the_child_sees_no_secret_and_a_directory_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_KEY", "canary-api")
    monkeypatch.setenv("S3_SECRET_KEY", "canary-s3")
    monkeypatch.setenv("HTTPS_PROXY", "http://canary-proxy")

    _, lines = shell("env; pwd; ls -A; cat /proc/self/environ 2>/dev/null")

    told = "\n".join(lines)
    assert "canary" not in told
    names = {line.partition("=")[0] for line in lines if "=" in line and "\0" not in line}
    assert names <= {"PATH", "LANG", "HOME", "TMPDIR", "PWD", "_", "OLDPWD", "SHLVL"}
    home = next(line.partition("=")[2] for line in lines if line.startswith("HOME="))
    assert home in lines, "the working directory is its home"
    assert not Path(home).exists(), "and it is gone afterwards"


def test_a_program_that_is_not_there_is_an_error_of_the_installation(tmp_path: Path) -> None:
    with pytest.raises(ChildNotStarted, match="needed to try could not be started") as caught:
        run_child([str(tmp_path / "absent")], action="try", limits=OPEN, timeout_s=5)

    assert "No such file" in caught.value.detail
    assert str(tmp_path) not in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (copy.action, copy.detail) == ("try", caught.value.detail)


def test_a_child_that_ignores_sigterm_and_forks_is_dead_when_the_time_limit_is_reported(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"

    with pytest.raises(TimeLimitExceeded, match="more than 1 s to try"):
        shell(STUBBORN.format(pids=pids), timeout_s=1)

    for pid in map(int, pids.read_text().split()):
        wait_until_dead(pid)


def test_a_cancelled_job_takes_its_child_along(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    with pytest.raises(JobCancelled):
        run_child(
            ["/bin/sh", "-c", STUBBORN.format(pids=pids)],
            action="try",
            limits=OPEN,
            timeout_s=60,
            monitor=CancelWhen(pids),
        )

    for pid in map(int, pids.read_text().split()):
        wait_until_dead(pid)


def test_a_job_cancelled_before_the_start_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(JobCancelled):
        run_child(
            ["/bin/sh", "-c", f"touch {tmp_path}/started"],
            action="try",
            limits=OPEN,
            timeout_s=5,
            monitor=CancelWhen(tmp_path),
        )

    assert not (tmp_path / "started").exists()


def test_an_error_of_the_listener_ends_the_child() -> None:
    pids: list[int] = []

    def listen(line: str) -> None:
        pids.append(int(line))
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        run_child(
            ["/bin/sh", "-c", "echo $$; sleep 60"],
            action="try",
            limits=OPEN,
            timeout_s=60,
            on_stdout_line=listen,
        )

    wait_until_dead(pids[0])


def test_a_grandchild_left_behind_is_ended_and_not_waited_for() -> None:
    result, lines = shell("sleep 300 & echo $!")

    assert result.returncode == 0
    wait_until_dead(int(lines[0]))


def test_a_child_that_closes_its_output_is_still_watched() -> None:
    with pytest.raises(TimeLimitExceeded):
        shell("exec >&- 2>&-; exec sleep 60", timeout_s=0.5)


@LINUX
@pytest.mark.parametrize("confine", [False, True])
def test_a_child_dies_with_its_parent(tmp_path: Path, confine: bool) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    script = f"""
        from pathlib import Path
        from proofreel.adapters.launch import ChildLimits, run_child
        run_child(["/bin/sh", "-c", "echo $$ > {pids}; exec sleep 60"], action="try",
                  limits=ChildLimits(confine={confine}), timeout_s=60, writable=[Path("{pids}")])
    """
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # what a killed parent leaves behind
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=env)
    try:
        while not pids.read_text().endswith("\n"):
            assert parent.poll() is None
            time.sleep(0.02)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()

    wait_until_dead(int(pids.read_text()))


def test_children_run_from_several_threads_at_once() -> None:
    ended: list[int] = []

    def work(number: int) -> None:
        ended.append(shell(f"exit {number}")[0].returncode)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ended) == [0, 1, 2, 3]


def test_a_file_over_the_limit_ends_the_child(tmp_path: Path) -> None:
    target = tmp_path / "big"

    result, _ = shell(
        f"exec head -c 100000 /dev/zero > {target}",
        limits=ChildLimits(file_bytes=4096, confine=False),
    )

    assert result.returncode == -signal.SIGXFSZ
    assert target.stat().st_size == 4096


@LINUX
def test_memory_processor_time_cores_and_open_files_are_limited() -> None:
    limits = ChildLimits(memory_bytes=1 << 30, cpu_s=7, open_files=32, confine=False)

    _, lines = shell("ulimit -v; ulimit -t; ulimit -c; ulimit -n; ulimit -H -n", limits=limits)

    assert lines == ["1048576", "7", "0", "32", "32"]


def test_a_child_that_wants_more_memory_does_not_get_it() -> None:
    result = run_child(
        [sys.executable, "-I", "-S", "-c", "bytes(600_000_000)"],
        action="try",
        limits=ChildLimits(memory_bytes=400_000_000, confine=False),
        timeout_s=20,
    )

    assert result.returncode == 1
    assert "MemoryError" in result.stderr


@contextlib.contextmanager
def canary() -> Iterator[tuple[int, list[str]]]:
    """Listen on loopback; note every connection."""
    calls: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = server.accept()
                calls.append("call")
                connection.close()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield server.getsockname()[1], calls
    finally:
        stop.set()
        thread.join()
        server.close()


CALL = "import socket; socket.create_connection(('127.0.0.1', {port}), timeout=5)"


def call(port: int, *, confine: bool) -> ChildResult:
    return run_child(
        ["/bin/sh", "-c", f'exec "{sys.executable}" -I -S -c "{CALL.format(port=port)}"'],
        action="call",
        limits=ChildLimits(confine=confine),
        timeout_s=20,
        readable=[Path(sys.prefix), Path(sys.base_prefix)],
    )


@LINUX
def test_a_confined_child_reaches_no_network(kernel_confines_network: None) -> None:
    with canary() as (port, calls):
        open_result = call(port, confine=False)
        before = len(calls)
        shut_result = call(port, confine=True)

    assert (open_result.returncode, before) == (0, 1), "the canary works"
    assert shut_result.returncode == 1
    assert "OSError" in shut_result.stderr or "PermissionError" in shut_result.stderr
    assert len(calls) == 1


@LINUX
def test_a_confined_child_reads_and_writes_only_what_it_was_given(
    tmp_path: Path, kernel_confines: None
) -> None:
    given, neighbour, target = tmp_path / "given", tmp_path / "neighbour", tmp_path / "target"
    given.write_text("mine\n")
    neighbour.write_text("secret\n")
    target.touch()

    result, lines = shell(
        f"cat {given}; cat {neighbour}; ls {tmp_path}; cat /etc/passwd;"
        f"cat /proc/{os.getpid()}/environ;"
        f"echo done > {target}; echo more > {tmp_path}/other; echo scratch > here && cat here",
        limits=ChildLimits(),
        readable=(given,),
        writable=(target,),
    )

    assert lines == ["mine", "scratch"]
    assert result.stderr.count("ermission denied") == 5
    assert target.read_text() == "done\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "neighbour", "target"]
    assert neighbour.read_text() == "secret\n"


def test_a_monitor_that_never_objects_changes_nothing() -> None:
    result = run_child(
        ["/bin/sh", "-c", "exit 0"],
        action="try",
        limits=OPEN,
        timeout_s=5,
        monitor=NullMonitor(),
    )

    assert result == ChildResult(0, "")


def landlock_version() -> int:
    """Return what the kernel offers (landlock_create_ruleset(2)); below 1 if nothing."""
    return int(ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1))


@pytest.fixture
def kernel_confines() -> None:
    if landlock_version() < 1:
        pytest.skip("this kernel has no Landlock: children are not confined to their files")


@pytest.fixture
def kernel_confines_network() -> None:
    if landlock_version() < 4:
        pytest.skip("this kernel's Landlock has no rules for TCP (Linux 6.7)")
