"""All that is done with FFmpeg: look into a recording, take its sound out, make it smaller."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from proofreel.adapters.ffmpeg_args import (
    SPEECH_SAMPLE_RATE_HZ,
    WAV_HEADER_BYTES,
    MediaLimits,
    extract_args,
    progress_ms,
    scale_args,
)
from proofreel.adapters.launch import ChildLimits, ChildNotStarted, ChildResult, run_child
from proofreel.adapters.media_errors import (
    FfmpegNotFound,
    MediaDiskFull,
    MediaEmpty,
    MediaNoAudio,
    MediaToolKilled,
    MediaTooLong,
    MediaUnreadable,
    ScaleFailed,
    ScaleMissed,
    WorkFolderUnwritable,
)
from proofreel.adapters.probe import probe
from proofreel.core.model import MediaInfo, Monitor, NullMonitor
from proofreel.core.scaling import ScalePlan, tighten
from proofreel.errors import TimeLimitExceeded

log = structlog.get_logger()

_FULL = ("No space left on device", "Disk quota exceeded")
_VERSION_TIMEOUT_S = 20.0


def find_ffmpeg(configured: str | None = None) -> Path:
    """Return the FFmpeg to use: `configured` (a path or a name on PATH), else `ffmpeg` on PATH,
    else the one in the imageio-ffmpeg wheel. Never downloads.

    Raises FfmpegNotFound; a configured one that is not there is not replaced by another.
    """
    if configured:
        found = shutil.which(configured)
        if found is None:
            raise FfmpegNotFound(f"FFMPEG_BINARY is {configured!r}, which is not a program")
        return Path(found).absolute()
    if found := shutil.which("ffmpeg"):
        return Path(found).absolute()
    try:
        import imageio_ffmpeg  # late: it looks for its binary by running it

        return Path(imageio_ffmpeg.get_ffmpeg_exe()).absolute()
    except (ImportError, RuntimeError) as exc:
        raise FfmpegNotFound(f"not on PATH, and imageio-ffmpeg says: {exc}") from exc


class Media:
    """FFmpeg at `binary`, held to `limits`; `threads` for decoding and encoding each.

    Safe to share between threads. All paths are files on this machine; targets are overwritten, and
    removed again when the work fails. Every method may raise TimeLimitExceeded, JobCancelled,
    ChildNotStarted, MediaToolKilled, MediaDiskFull and WorkFolderUnwritable besides its own errors.
    """

    def __init__(
        self, binary: Path, limits: MediaLimits | None = None, *, threads: int = 2
    ) -> None:
        self._binary, self._limits = binary, limits or MediaLimits()
        self._threads = max(1, threads)

    def version(self) -> str:
        """Return FFmpeg's version line, for `doctor`.

        Raises ChildNotStarted if it does not run (in the sandbox) or has no libx264.
        """
        action, lines = "make smaller copies (FFmpeg with libx264)", list[str]()
        limits = self._child_limits(_VERSION_TIMEOUT_S, 0)
        for question in ("-version", "-encoders"):
            result = run_child(
                [str(self._binary), "-hide_banner", question],
                action=action,
                limits=limits,
                timeout_s=_VERSION_TIMEOUT_S,
                on_stdout_line=lines.append,
                readable=self._program_dirs(),
            )
            if result.returncode != 0:
                raise ChildNotStarted(action, result.last_line or f"exit {result.returncode}")
        if not any(line.split()[1:2] == ["libx264"] for line in lines):
            raise ChildNotStarted(action, "this FFmpeg was built without libx264")
        return lines[0]

    def probe(self, source: Path, *, monitor: Monitor | None = None) -> MediaInfo:
        """Return what `source` holds; see `probe.probe` for the MediaErrors it raises."""
        return probe(source, self._limits, monitor=monitor)

    def extract_audio(
        self, source: Path, target: Path, info: MediaInfo, *, monitor: Monitor | None = None
    ) -> int:
        """Write the first audio stream as 16 kHz mono 16-bit WAV and return its length in ms.

        Times in it are the player's: sound that starts late or has gaps is filled with silence. Of
        a damaged file, what could be decoded is kept. Raises MediaNoAudio, MediaEmpty if there is
        not one sample, MediaUnreadable if nothing decodes, MediaTooLong.
        """
        if info.audio is None:
            raise MediaNoAudio("no audio stream")
        args = extract_args(source, target, info, self._limits, threads=self._threads)
        with _Target(target, "extract the sound") as action:
            result = self._run(
                args, action, source, target, info, monitor,
                timeout_s=self._limits.extract_timeout_s,
                file_bytes=self._limits.max_output_bytes,
            )  # fmt: skip
            _raise_if_ours(result, action, self._limits.extract_timeout_s)
            samples = max(0, target.stat().st_size - WAV_HEADER_BYTES) // 2
            if result.returncode != 0:
                if samples == 0 or result.returncode < 0:
                    raise MediaUnreadable(result.last_line or f"exit {result.returncode}")
                log.warning("media.damaged", detail=result.last_line, samples=samples)
            if samples == 0:
                raise MediaUnreadable(result.last_line) if result.stderr else MediaEmpty("no sound")
            duration_ms = samples * 1000 // SPEECH_SAMPLE_RATE_HZ
            if duration_ms > self._limits.max_duration_ms:
                raise MediaTooLong(self._limits.max_duration_ms)
        return duration_ms

    def scale(
        self,
        source: Path,
        target: Path,
        plan: ScalePlan,
        info: MediaInfo,
        *,
        monitor: Monitor | None = None,
    ) -> None:
        """Write the copy that `plan` describes; it is never larger than `plan.max_bytes`.

        Tries once more, lower, if the first attempt came out too large. Raises ScaleMissed,
        ScaleImpossible (core.scaling) or ScaleFailed: the recording itself may still be fine.
        """
        got_bytes = self._scale_once(source, target, plan, info, monitor)
        if got_bytes > plan.max_bytes:
            log.info("media.scale_again", got_bytes=got_bytes, max_bytes=plan.max_bytes)
            target.unlink(missing_ok=True)
            lower = tighten(plan, info, got_bytes=got_bytes)
            got_bytes = self._scale_once(source, target, lower, info, monitor)
        if got_bytes > plan.max_bytes:
            target.unlink(missing_ok=True)
            raise ScaleMissed(got_bytes, plan.max_bytes)

    def _scale_once(
        self,
        source: Path,
        target: Path,
        plan: ScalePlan,
        info: MediaInfo,
        monitor: Monitor | None,
    ) -> int:
        """Make the copy and return its size; a copy given up as far too large counts as double."""
        args = scale_args(source, target, plan, self._limits, threads=self._threads)
        far_too_large = 2 * plan.max_bytes
        with _Target(target, "make the smaller copy") as action:
            result = self._run(
                args, action, source, target, info, monitor,
                timeout_s=self._limits.scale_timeout_s,
                file_bytes=far_too_large,
            )  # fmt: skip
            if result.returncode == -signal.SIGXFSZ:
                return far_too_large
            _raise_if_ours(result, action, self._limits.scale_timeout_s)
            size_bytes = target.stat().st_size
            if result.returncode != 0 or size_bytes == 0:
                raise ScaleFailed(result.last_line or f"exit {result.returncode}")
        return size_bytes

    def _run(
        self,
        args: Sequence[str],
        action: str,
        source: Path,
        target: Path,
        info: MediaInfo,
        monitor: Monitor | None,
        *,
        timeout_s: float,
        file_bytes: int,
    ) -> ChildResult:
        return run_child(
            [str(self._binary), *args],
            action=action,
            limits=self._child_limits(timeout_s, file_bytes),
            timeout_s=timeout_s,
            monitor=monitor,
            on_stdout_line=_reporter(info.duration_ms, monitor or NullMonitor()),
            readable=[source.absolute(), *self._program_dirs()],
            writable=[target.absolute()],
        )

    def _child_limits(self, timeout_s: float, file_bytes: int) -> ChildLimits:
        return ChildLimits(
            memory_bytes=self._limits.memory_bytes,
            cpu_s=int(timeout_s * (os.cpu_count() or 1)) + 1,
            file_bytes=file_bytes,
            confine=self._limits.confine,
        )

    def _program_dirs(self) -> list[Path]:
        """Return the program, its directory, and the libraries of a `prefix/bin/ffmpeg`."""
        program = self._binary.resolve()
        dirs = [self._binary, program.parent]
        if program.parent.name == "bin":
            dirs.append(program.parent.parent / "lib")
        return dirs


class _Target:
    """Makes the file that a child may write, and removes what is left of it after an error."""

    def __init__(self, path: Path, action: str) -> None:
        self._path, self._action = path, action

    def __enter__(self) -> str:
        try:
            self._path.touch()
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise MediaDiskFull(self._action, str(exc)) from exc
            raise WorkFolderUnwritable(self._action, str(exc)) from exc
        return self._action

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._path.is_file():
            self._path.unlink()


def _reporter(duration_ms: int, monitor: Monitor) -> Callable[[str], None]:
    """Return what turns lines of -progress into `monitor.progress`, never backwards nor over 1."""
    done = 0.0

    def report(line: str) -> None:
        nonlocal done
        at_ms = progress_ms(line)
        if at_ms is not None and duration_ms > 0:
            done = max(done, min(1.0, at_ms / duration_ms))
            monitor.progress(done)

    return report


def _raise_if_ours(result: ChildResult, action: str, limit_s: float) -> None:
    """Raise what is this machine's fault rather than the file's."""
    if result.returncode != 0 and any(text in result.stderr for text in _FULL):
        raise MediaDiskFull(action, result.last_line)
    if result.returncode == -signal.SIGKILL:
        raise MediaToolKilled(action, result.last_line)
    if result.returncode == -signal.SIGXCPU:
        raise TimeLimitExceeded(action, limit_s)  # of processor time
