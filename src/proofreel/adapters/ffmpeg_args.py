"""FFmpeg's command lines as pure functions, and the limits that go into them.

Every input is opened with a list of containers that hold their own samples. `-protocol_whitelist`
alone would not do: a playlist called evil.mp3 still reads its neighbours through the file protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from proofreel.core.model import MediaInfo
from proofreel.core.scaling import ScalePlan

SPEECH_SAMPLE_RATE_HZ = 16_000  # what Whisper takes
_SPEECH_BYTES_PER_MS = SPEECH_SAMPLE_RATE_HZ * 2 // 1000
WAV_HEADER_BYTES = 44  # of a file FFmpeg writes with -bitexact
_WAV_LIMIT_MS = 36 * 3_600_000  # 4 GB, all that a WAV header can say, is 37 h

# FFmpeg's names of demuxers that read nothing but the file they are given.
FORMATS = ",".join(
    (
        "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "asf", "flv", "mpeg",
        "mpegts", "mxf", "dv", "ogg", "mp3", "aac", "loas", "ac3", "eac3", "dts", "flac", "wav",
        "w64", "aiff", "caf", "au", "amr", "amrnb", "amrwb", "wv", "ape", "tta", "dss", "dsf",
    )
)  # fmt: skip

_GOOD_ENOUGH_CRF = "23"  # x264's own default

# Their time starts at the first stream that is *used* (AVFMT_TS_DISCONT in FFmpeg's demuxers), so
# sound alone would lose the lead of the picture over it.
_CLOCK_OF_USED_STREAMS = {"mpegts", "mpeg"}


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What one file may cost. Times are wall clock; `memory_bytes` is address space."""

    probe_timeout_s: float = 20.0
    extract_timeout_s: float = 3600.0
    scale_timeout_s: float = 4 * 3600.0
    max_duration_ms: int = 12 * 3_600_000
    max_pixels: int = 8192 * 4320
    max_streams: int = 64
    max_output_bytes: int = 8 << 30
    memory_bytes: int = 4 << 30
    confine: bool = True  # False where a kernel's or installation's quirks forbid the sandbox

    def __post_init__(self) -> None:
        if not 0 < self.max_duration_ms <= _WAV_LIMIT_MS:
            raise ValueError(f"max_duration_ms must be 1 to {_WAV_LIMIT_MS}")


def _input(source: Path, limits: MediaLimits, threads: int) -> list[str]:
    return [
        "-nostdin", "-hide_banner", "-v", "error", "-nostats", "-progress", "pipe:1", "-y",
        "-threads", str(threads), "-max_pixels", str(limits.max_pixels),
        "-protocol_whitelist", "file", "-format_whitelist", FORMATS,
        "-i", f"file:{source.absolute()}",
    ]  # fmt: skip


def _in_time(sample_rate_hz: int) -> str:
    """The filter that keeps sound on the player's clock: a late start and gaps become silence."""
    return f"aresample={sample_rate_hz}:async=1:first_pts=0"


def extract_args(
    source: Path, target: Path, info: MediaInfo, limits: MediaLimits, *, threads: int
) -> list[str]:
    """Return the arguments that write the first audio stream as 16 kHz mono 16-bit WAV."""
    # A second more than allowed shows that there was more.
    limit_ms = limits.max_duration_ms + 1000
    limit = ["-t", f"{limit_ms / 1000:.3f}"]
    wav_bytes = WAV_HEADER_BYTES + limit_ms * _SPEECH_BYTES_PER_MS
    args = [
        *_input(source, limits, threads),
        "-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", *limit,
        "-af", _in_time(SPEECH_SAMPLE_RATE_HZ), "-ac", "1", "-c:a", "pcm_s16le",
        "-fs", str(min(wav_bytes, limits.max_output_bytes)), "-bitexact",
        "-f", "wav", f"file:{target.absolute()}",
    ]  # fmt: skip
    if info.video is not None and info.container in _CLOCK_OF_USED_STREAMS:
        args += ["-map", "0:V:0", "-c:v", "copy", *limit, "-f", "null", "-"]
    return args


def scale_args(
    source: Path, target: Path, plan: ScalePlan, limits: MediaLimits, *, threads: int
) -> list[str]:
    """Return the arguments that make the smaller copy that `plan` describes."""
    args = [
        *_input(source, limits, threads),
        "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1",
        "-t", f"{limits.max_duration_ms / 1000:.3f}",
    ]  # fmt: skip
    if picture := plan.picture:
        # Constant quality under a ceiling: a still picture does not fill the limit for nothing.
        rate = picture.bits_per_s
        # FFmpeg has turned the picture upright before the first filter.
        filters = f"fps={picture.frames_per_s:.6g}:start_time=0,"
        filters += f"scale={picture.width}:{picture.height}:flags=bicubic,setsar=1,format=yuv420p"
        args += [
            "-map", "0:V:0", "-vf", filters, "-c:v", "libx264", "-preset", "veryfast",
            "-crf", _GOOD_ENOUGH_CRF, "-maxrate", str(rate), "-bufsize", str(rate * 2),
            "-g", str(max(1, round(picture.frames_per_s * 10))), "-threads", str(threads),
        ]  # fmt: skip
    if sound := plan.sound:
        args += [
            "-map", "0:a:0", "-af", _in_time(sound.sample_rate_hz), "-c:a", "aac",
            "-b:a", str(sound.bits_per_s), "-ac", str(sound.channels),
        ]  # fmt: skip
    form = "mp4" if picture else "ipod"  # FFmpeg's name for M4A
    return [*args, "-movflags", "+faststart", "-f", form, f"file:{target.absolute()}"]


def progress_ms(line: str) -> int | None:
    """Return the time in the output that a line of `-progress` tells, None if it tells none."""
    key, _, value = line.partition("=")
    if key != "out_time_us" or not value.strip().isdigit():
        return None
    return int(value) // 1000
