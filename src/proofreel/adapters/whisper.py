"""Speech recognition as the rest of the program sees it: a WAV in, a Transcript out.

The model lives in a child process that stays warm between jobs: CTranslate2 is not fork-safe, and
a crash in it must not take the worker along.
"""

from __future__ import annotations

import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from proofreel.adapters.metrics import Metrics
from proofreel.adapters.models import ModelStore
from proofreel.adapters.speech_options import EnglishOnlyModel, check_options
from proofreel.adapters.speech_segments import SAMPLES_PER_MS, segments_of
from proofreel.adapters.whisper_process import SpeechCrashed, SpeechFailed, WhisperProcess
from proofreel.core.model import Monitor, NullMonitor, SpeechOptions, Transcript
from proofreel.errors import ProofreelError

__all__ = ["SpeechCrashed", "SpeechEngine", "SpeechFailed", "SpeechLimits"]

log = structlog.get_logger()

_LOCK_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class SpeechLimits:
    """When the child is given up, let go, or replaced."""

    load_timeout_s: float = 300.0
    least_timeout_s: float = 300.0
    timeout_per_audio_s: float = 10.0  # seconds of work for each second of sound
    idle_exit_s: float = 900.0  # unused for so long: give the memory back
    jobs_per_process: int = 100  # native code may leak: start afresh after so many


@dataclass(frozen=True, slots=True)
class Device:
    """Where the loaded model runs; `note`: what an operator should know, or ""."""

    device: str
    compute_type: str
    note: str


class SpeechEngine:
    """Turns recordings into transcripts, one at a time; safe to share between threads.

    `device` is "auto", "cpu" or "cuda"; `compute_type` "auto" or one of CTranslate2's; `threads`
    0: as many as there are cores. Close it when done: a context manager does.
    """

    def __init__(
        self,
        models: ModelStore,
        *,
        device: str = "auto",
        compute_type: str = "auto",
        threads: int = 0,
        batch_size: int = 8,
        beam_size: int = 1,
        limits: SpeechLimits | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._models = models
        self._device, self._compute_type, self._threads = device, compute_type, threads
        self._batch_size, self._beam_size = batch_size, beam_size
        self._limits = limits or SpeechLimits()
        self._metrics = metrics or Metrics()
        self._turn = threading.Lock()
        self._process: WhisperProcess | None = None
        self._loaded: Path | None = None
        self._multilingual = True
        self._running_on: Device | None = None
        self._jobs_done = 0
        self._idle_timer: threading.Timer | None = None

    def __enter__(self) -> SpeechEngine:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def device(self) -> Device | None:
        """Where the model runs, as far as one is loaded."""
        return self._running_on

    @property
    def process_id(self) -> int | None:
        """The process that holds the model now, None without one."""
        process = self._process
        return process.pid if process is not None and process.alive else None

    def transcribe(
        self, audio: Path, options: SpeechOptions, *, monitor: Monitor | None = None
    ) -> Transcript:
        """Return what is said in `audio`, a 16 kHz mono 16-bit WAV of our own making.

        No voice in it is a success without segments. Raises the InvalidInput of `check_options`,
        ModelMissing or ModelCorrupt, SpeechCrashed (retryable), SpeechFailed, TimeLimitExceeded,
        and what `monitor.check()` raises; it is called several times a second.
        """
        monitor = monitor or NullMonitor()
        check_options(options)
        duration_ms = _duration_ms(audio)
        with self._turn_of(monitor):
            process = self._process_for(options, monitor)
            if not self._multilingual and (
                options.language not in (None, "en") or options.task == "translate"
            ):
                raise EnglishOnlyModel(options.model)
            timeout_s = max(
                self._limits.least_timeout_s,
                self._limits.timeout_per_audio_s * duration_ms / 1000,
            )
            started_s = time.monotonic()
            answer = self._ask(process, self._request(audio, options), timeout_s, monitor)
            self._metrics.recognised(time.monotonic() - started_s, audio_s=duration_ms / 1000)
            self._jobs_done += 1
        monitor.progress(1.0)
        found = answer["result"]
        return Transcript(
            language=found["language"],
            duration_ms=duration_ms,
            model=Path(options.model).name,
            segments=segments_of(found["decoded"], duration_ms),
        )

    def close(self) -> None:
        """End the child process, if any. The engine may be used again; it starts a new one."""
        process, self._process = self._process, None
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._loaded = self._running_on = None
        if process is not None:
            process.kill()

    @contextmanager
    def _turn_of(self, monitor: Monitor) -> Iterator[None]:
        while not self._turn.acquire(timeout=_LOCK_POLL_S):
            monitor.check()
        try:
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            yield
        finally:
            timer = self._idle_timer = threading.Timer(
                self._limits.idle_exit_s, self._close_if_idle
            )
            timer.daemon = True
            timer.start()
            self._turn.release()

    def _close_if_idle(self) -> None:
        # Somebody has the turn: not idle after all.
        if self._turn.acquire(blocking=False):
            try:
                if self._idle_timer is threading.current_thread():  # else a job came and went
                    self.close()
            finally:
                self._turn.release()

    def _process_for(self, options: SpeechOptions, monitor: Monitor) -> WhisperProcess:
        """Return a child that holds the model, the warm one if it fits."""
        folder = self._models.path(options.model)
        process = self._process
        if (
            process is not None
            and process.alive
            and self._loaded == folder
            and self._jobs_done < self._limits.jobs_per_process
        ):
            return process
        self.close()
        process = self._process = WhisperProcess()
        started_s = time.monotonic()
        request = {
            "do": "load",
            "folder": str(folder),
            "device": self._device,
            "compute_type": self._compute_type,
            "threads": self._threads,
        }
        answer = self._ask(process, request, self._limits.load_timeout_s, monitor)
        self._loaded, self._jobs_done = folder, 0
        self._multilingual = bool(answer["multilingual"])
        self._running_on = Device(**answer["loaded"])
        seconds = time.monotonic() - started_s
        self._metrics.model_loaded(Path(options.model).name, seconds)
        log.info(
            "model_loaded", model=folder.name, seconds=round(seconds, 2), **asdict(self._running_on)
        )
        return process

    def _request(self, audio: Path, options: SpeechOptions) -> dict[str, Any]:
        return {
            "do": "transcribe",
            "audio": str(audio.resolve()),
            "options": {
                "language": options.language,
                "task": options.task,
                "prompt": options.prompt or None,
                "beam_size": self._beam_size,
                "batch_size": self._batch_size,
            },
        }

    def _ask(
        self, process: WhisperProcess, request: dict[str, Any], timeout_s: float, monitor: Monitor
    ) -> dict[str, Any]:
        action = "load the speech model" if request["do"] == "load" else "recognise the speech"
        try:
            return process.ask(
                request,
                action=action,
                timeout_s=timeout_s,
                monitor=monitor,
                on_progress=monitor.progress,
            )
        except SpeechFailed as failure:
            log.warning("speech_failed", action=action, detail=failure.detail)
            raise
        except ProofreelError as error:
            log.warning("speech_process_ended", code=error.code, detail=error.detail)
            self.close()
            raise
        except BaseException:  # the monitor's, or an interrupt: the child is in the middle of it
            self.close()
            raise


def _duration_ms(audio: Path) -> int:
    try:
        with wave.open(str(audio), "rb") as file:
            n_samples = file.getnframes()
    except (wave.Error, EOFError, OSError) as error:
        raise SpeechFailed(f"not a WAV of ours: {error}") from error
    in_file = audio.stat().st_size // 2  # a header may promise more than there is
    return round(min(n_samples, in_file) / SAMPLES_PER_MS)
