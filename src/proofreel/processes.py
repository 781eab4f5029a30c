"""Processes that live and die together: one parent, its children, nothing left over."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

from proofreel.adapters.secrets_file import ensure_secret
from proofreel.errors import Misconfigured

log = structlog.get_logger()

_PARENT = "PROOFREEL_PARENT_PID"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_STEADY_AFTER_S = 60.0  # a child that ran this long is restarted without delay
_LONGEST_DELAY_S = 30.0
_HURRY_S = 1.0  # what children that are told a second time get to end


class TooManyWorkers(Misconfigured):
    """Every worker slot of this machine is taken."""

    code = "too_many_workers"

    def __str__(self) -> str:
        return "All worker slots of this machine are taken. Stop a worker first."


class AddressUnusable(Misconfigured):
    """The service cannot listen where it was told to; `reason` says why."""

    code = "address_unusable"

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(host, port, reason)
        self.host, self.port, self.reason = host, port, reason

    def __str__(self) -> str:
        return (
            f"The service cannot listen on {self.host}, port {self.port}: {self.reason}. "
            "Set PROOFREEL_HOST and PROOFREEL_PORT, or --host and --port."
        )


def check_address(host: str, port: int) -> None:
    """Raise AddressUnusable unless `port` of `host` is free: better now than in a restart loop."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        number = error.errno or 0  # below 0: of the resolver
        reason = os.strerror(number) if number > 0 else "there is no such address"
        raise AddressUnusable(host, port, reason) from error


def die_with_parent() -> None:
    """Arrange that SIGTERM comes when the process that started this one is gone, however it went.

    Does nothing in a process that was started by hand.
    """
    parent = int(os.environ.get(_PARENT, "0"))
    if not parent:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it went before we could ask
        os.kill(os.getpid(), signal.SIGTERM)
    if sys.platform != "linux":
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


def has_parent() -> bool:
    """Say whether `proofreel serve` started this process, which then speaks for it."""
    return bool(os.environ.get(_PARENT))


def parent_is_gone() -> bool:
    """Say whether the process that started this one ended before it: then all must end at once."""
    parent = int(os.environ.get(_PARENT, "0"))
    return bool(parent) and os.getppid() != parent


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass
class _Child:
    name: str
    argv: Sequence[str]
    process: subprocess.Popen[bytes]
    started_s: float
    failures: int = 0
    restart_at_s: float = 0.0


@dataclass
class Supervisor:
    """Keeps one process per command line alive until told to stop."""

    commands: Mapping[str, Sequence[str]]
    grace_s: float  # after this a child that was told to stop is killed
    environment: Mapping[str, str] = field(default_factory=dict)  # besides our own
    _children: list[_Child] = field(default_factory=list)
    _stopping: bool = False
    _hurry: bool = False

    def run(self) -> int:
        """Start all, restart what dies, stop all at SIGTERM or SIGINT. Returns the exit status.

        A child that says its settings are wrong (exit 2) ends everything: a restart cannot help.
        """
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        for name, argv in self.commands.items():
            self._children.append(_Child(name, argv, self._start(argv), time.monotonic()))
        status = 0
        try:
            while not self._stopping and status == 0:
                time.sleep(0.2)
                status = self._look_after()
        finally:
            self._stop_all()
        return status

    def _stop(self, *_: object) -> None:
        self._hurry = self._stopping  # told a second time
        self._stopping = True

    def _look_after(self) -> int:
        now_s = time.monotonic()
        for child in self._children:
            status = child.process.poll()
            if status is None:
                continue
            if status == 2:
                return 2
            if not child.restart_at_s:
                steady = now_s - child.started_s > _STEADY_AFTER_S
                child.failures = 0 if steady else child.failures + 1
                delay_s = min(2.0 ** (child.failures - 1), _LONGEST_DELAY_S)
                child.restart_at_s = now_s + (0.0 if steady else delay_s)
                log.warning("process_ended", process=child.name, status=status)
            if now_s >= child.restart_at_s:
                child.process, child.started_s = self._start(child.argv), now_s
                child.restart_at_s = 0.0
        return 0

    def _start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        # a session of its own: ^C on the terminal reaches the supervisor alone, which stops all
        environment = {**os.environ, **self.environment, _PARENT: str(os.getpid())}
        return subprocess.Popen(argv, env=environment, start_new_session=True)  # noqa: S603

    def _stop_all(self) -> None:
        for child in self._children:
            child.process.terminate()
        deadline_s = time.monotonic() + self.grace_s
        while any(child.process.poll() is None for child in self._children):
            now_s = time.monotonic()
            if self._hurry and deadline_s > now_s + _HURRY_S:
                deadline_s = now_s + _HURRY_S
                for child in self._children:
                    child.process.terminate()
            if now_s > deadline_s:
                break
            time.sleep(0.05)
        for child in self._children:
            child.process.kill()
            child.process.wait()


def fresh_scratch(folder: Path) -> Path:
    """Make `folder` empty and the place for every temporary file of this process.

    A worker that was killed leaves its scratch files behind; the next one in its slot removes them.
    """
    tempfile.tempdir = str(fresh_folder(folder))
    return folder


def fresh_folder(folder: Path) -> Path:
    """Make `folder` and nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def claim_worker_slot(folder: Path, *, slots: int = 64) -> tuple[str, IO[bytes]]:
    """Return an executor id that is stable over restarts and unique among the living, and its lock.

    Keep the lock open as long as the worker lives. Two living workers with one id would run a step
    twice: the host's name tells copies of one folder apart, a random number kept in the folder
    hosts of one name. Raises TooManyWorkers, SecretFileUnusable.
    """
    import fcntl  # late: `proofreel transcribe` works where it does not exist

    folder.mkdir(parents=True, exist_ok=True)
    machine, _ = ensure_secret(folder / "machine_id", lambda: secrets.token_hex(6))
    for slot in range(slots):
        lock = (folder / f"slot-{slot}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        return f"{socket.gethostname()}-{machine}-slot{slot}", lock
    raise TooManyWorkers
