"""Start, talk to, watch and end the process that holds a speech model."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from proofreel.adapters.whisper_child import read_message, write_message
from proofreel.core.model import Monitor
from proofreel.errors import SpeechError, TimeLimitExceeded

log = structlog.get_logger()

_POLL_S = 0.2  # how soon a cancelled job or a passed deadline is noticed
_STDERR_KEPT_BYTES = 4096
# All the child sees of our environment: what programs and GPUs need; no secret of ours.
_PASSED_ON = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
_PASSED_ON_PREFIXES = ("CUDA_", "NVIDIA_", "CT2_", "OMP_", "PYTHON")


class SpeechCrashed(SpeechError):
    """The process that holds the model died; trying again may well succeed."""

    code = "speech_crashed"
    retryable = True

    def __init__(self, log_detail: str = "") -> None:
        super().__init__(log_detail)
        self.log_detail = log_detail

    @property
    def detail(self) -> str:
        return self.log_detail

    def __str__(self) -> str:
        return "Speech recognition stopped unexpectedly."


class SpeechFailed(SpeechError):
    """The recogniser refused or could not finish; `log_detail` holds its own words."""

    code = "speech_failed"

    def __init__(self, log_detail: str = "") -> None:
        super().__init__(log_detail)
        self.log_detail = log_detail

    @property
    def detail(self) -> str:
        return self.log_detail

    def __str__(self) -> str:
        return "Speech recognition did not finish."


class WhisperProcess:
    """One child. Use it from one thread at a time; `kill` from any."""

    def __init__(self) -> None:
        """Start the child. Raises SpeechCrashed if the operating system refuses."""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by kill()
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        argv = [sys.executable, "-P", "-m", "proofreel.adapters.whisper_child"]
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own module, no shell
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=child_environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            raise SpeechCrashed(str(error)) from error
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def ask(
        self,
        request: dict[str, Any],
        *,
        action: str,
        timeout_s: float,
        monitor: Monitor,
        on_progress: Callable[[float], None],
    ) -> dict[str, Any]:
        """Send `request` and return the answer to it, passing on progress meanwhile.

        Raises SpeechFailed if the child says so (it lives on), SpeechCrashed if it dies,
        TimeLimitExceeded, and what `monitor.check()` raises; after the last two, kill it.
        """
        deadline_s = time.monotonic() + timeout_s
        try:
            if self._child.stdin is not None:
                write_message(self._child.stdin, request)
        except OSError as error:
            raise SpeechCrashed(self._last_words()) from error
        while True:
            monitor.check()
            if time.monotonic() > deadline_s:
                raise TimeLimitExceeded(action, timeout_s)
            try:
                message = self._messages.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if message is None:
                raise SpeechCrashed(self._last_words())
            if "progress" in message:
                on_progress(float(message["progress"]))
            elif "failed" in message:
                raise SpeechFailed(str(message["failed"]))
            else:
                return message

    def kill(self) -> None:
        """End the child and what it started; returns when it is gone. May be called again."""
        if self._child.poll() is None:
            try:
                os.killpg(self._child.pid, signal.SIGKILL)
            except ProcessLookupError:
                log.debug("speech process was gone already")
            self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._stderr):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # a request that it never read
                continue

    def _read(self) -> None:
        try:
            while self._child.stdout is not None:
                message = read_message(self._child.stdout)
                if message is None:
                    break
                self._messages.put(message)
        except (OSError, ValueError) as error:
            log.warning("speech process sent what is no message", detail=str(error))
        self._messages.put(None)

    def _last_words(self) -> str:
        try:
            code = self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its output but lives on"
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - _STDERR_KEPT_BYTES))
        said = self._stderr.read().decode(errors="replace").strip()
        return "; ".join(filter(None, (_ending(code), said)))


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return f"exit code {code}: killed, most often by the system for want of memory"
    return f"exit code {code}"


def child_environment() -> dict[str, str]:
    """Return the environment of the child: no secret, and no way to the model hub."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return {**kept, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
