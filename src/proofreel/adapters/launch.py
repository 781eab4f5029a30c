"""Run a program on hostile input: limited, shut in, watched, and gone when we are done with it."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from proofreel.adapters import launch_child
from proofreel.core.model import Monitor, NullMonitor
from proofreel.errors import Misconfigured, TimeLimitExceeded

_POLL_S = 0.1  # how soon a cancelled job or a passed deadline is noticed
_POLL_CLOSED_S = 0.01  # the same, once the child has closed its pipes and is about to end
_TERM_GRACE_S = 2.0
_STDERR_KEPT_BYTES = 8192
_LINE_BYTES = 65536
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


class ChildNotStarted(Misconfigured):
    """The program is missing, is not executable or does not run on this machine."""

    code = "tool_not_started"

    def __init__(self, action: str, detail: str) -> None:
        super().__init__(action, detail)
        self.action, self._detail = action, detail

    @property
    def detail(self) -> str:
        return self._detail

    def __str__(self) -> str:
        return f"The program needed to {self.action} could not be started on this server."


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What one child may use, enforced by the kernel. `confine` False: no namespace or Landlock."""

    memory_bytes: int = 4 << 30  # address space
    cpu_s: int = 3600  # over all threads
    file_bytes: int = 8 << 30  # the largest file it may write
    open_files: int = 64
    confine: bool = True


@dataclass(frozen=True, slots=True)
class ChildResult:
    """How a child ended: `returncode` as subprocess has it (-9: killed by signal 9)."""

    returncode: int
    stderr: str  # the last 8 KB

    @property
    def last_line(self) -> str:
        """The last line it printed on stderr that says anything, "" if none does."""
        return next((line for line in reversed(self.stderr.splitlines()) if line.strip()), "")


def run_child(
    argv: Sequence[str],
    *,
    action: str,
    limits: ChildLimits,
    timeout_s: float,
    monitor: Monitor | None = None,
    on_stdout_line: Callable[[str], None] | None = None,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
) -> ChildResult:
    """Run `argv` (an absolute program path first) to its end and say how it ended.

    The child gets a process group, an empty working directory and an environment of its own, no
    input, `limits`, and (where the kernel can, see launch_child) no network and no files but the
    system's, `readable` ones, and `writable` ones, which must exist. It dies with the calling
    thread. `action` completes "could not …" in messages. `on_stdout_line` hears its output, line by
    line without the line end; lines over 64 KB arrive in pieces.

    Whatever goes wrong here, the whole process group is dead and reaped before the error leaves:
    TimeLimitExceeded after `timeout_s`, whatever `monitor.check()` raises (called every 0.1 s),
    whatever `on_stdout_line` raises. ChildNotStarted if the program cannot be run at all.
    """
    monitor = monitor or NullMonitor()
    monitor.check()
    with tempfile.TemporaryDirectory(prefix="proofreel-", ignore_cleanup_errors=True) as workdir:
        command = _launch_command(argv, limits, readable=readable, writable=writable)
        try:
            child = subprocess.Popen(  # noqa: S603 - a fixed launcher, arguments without a shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=workdir,
                env=_child_environment(workdir),
                start_new_session=True,
            )
        except OSError as exc:
            raise ChildNotStarted(action, str(exc)) from exc
        stdout, stderr = _Lines(on_stdout_line), _Tail(_STDERR_KEPT_BYTES)
        try:
            _watch(child, action, timeout_s, monitor, stdout, stderr)
        except BaseException:
            _terminate(child)
            raise
        finally:
            _kill_group(child)
            child.wait()
            _close(child.stdout)
            _close(child.stderr)
    result = ChildResult(child.returncode, stderr.text())
    if result.returncode == launch_child.EXIT_NOT_STARTED:
        raise ChildNotStarted(action, result.last_line)
    return result


def _child_environment(workdir: str) -> dict[str, str]:
    """Return everything a child sees of our environment: nothing of ours, so no secret."""
    return {
        "PATH": os.environ.get("PATH", _DEFAULT_PATH),
        "LANG": "C.UTF-8",
        "HOME": workdir,
        "TMPDIR": workdir,
    }


def _launch_command(
    argv: Sequence[str], limits: ChildLimits, *, readable: Sequence[Path], writable: Sequence[Path]
) -> list[str]:
    return [
        sys.executable,
        "-I",
        "-S",
        launch_child.__file__,
        str(os.getpid()),
        f"memory={limits.memory_bytes}",
        f"cpu_s={limits.cpu_s}",
        f"file={limits.file_bytes}",
        f"files={limits.open_files}",
        f"confine={int(limits.confine)}",
        *(f"read={path}" for path in readable),
        *(f"write={path}" for path in writable),
        "--",
        *argv,
    ]


class _Lines:
    """Cuts bytes into lines for a callback; holds at most one unfinished line."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line, self._rest = on_line, b""

    def feed(self, data: bytes) -> None:
        if self._on_line is None:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))
        if len(self._rest) >= _LINE_BYTES:
            self.finish()

    def finish(self) -> None:
        if self._on_line is not None and self._rest:
            self._on_line(self._rest.decode(errors="replace"))
            self._rest = b""


class _Tail:
    """Keeps the last bytes it was given."""

    def __init__(self, size: int) -> None:
        self._size, self._data = size, b""

    def feed(self, data: bytes) -> None:
        self._data = (self._data + data)[-self._size :]

    def text(self) -> str:
        return self._data.decode(errors="replace")


def _watch(
    child: subprocess.Popen[bytes],
    action: str,
    timeout_s: float,
    monitor: Monitor,
    stdout: _Lines,
    stderr: _Tail,
) -> None:
    """Pass on the child's output until it has ended; leave it unreaped: its id must stay its."""
    deadline_s = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as pipes:
        for pipe, sink in ((child.stdout, stdout), (child.stderr, stderr)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                pipes.register(pipe, selectors.EVENT_READ, sink)
        ended = False
        while not ended:
            monitor.check()
            if time.monotonic() > deadline_s:
                raise TimeLimitExceeded(action, timeout_s)
            # Asked before reading: what it wrote before its end is then all in the pipes.
            ended = _has_ended(child)
            wait_s = 0.0 if ended else _POLL_S if pipes.get_map() else _POLL_CLOSED_S
            for key, _ in pipes.select(wait_s):
                if not _drain(key.fd, key.data):
                    pipes.unregister(key.fileobj)
    stdout.finish()


def _drain(fd: int, sink: _Lines | _Tail) -> bool:
    """Read what is there, at most a megabyte at a time; say whether more may come."""
    for _ in range(16):
        try:
            data = os.read(fd, _LINE_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        sink.feed(data)
    return True


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    if sys.platform == "linux":
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, child.pid, flags) is not None
    return child.poll() is not None


def _terminate(child: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end and give it a moment."""
    _signal_group(child, signal.SIGTERM)
    give_up_s = time.monotonic() + _TERM_GRACE_S
    while not _has_ended(child) and time.monotonic() < give_up_s:
        time.sleep(_POLL_CLOSED_S)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    _signal_group(child, signal.SIGKILL)


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS: EPERM when only the dead are left in it
        return


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()
