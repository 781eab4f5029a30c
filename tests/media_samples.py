"""Recordings made on the spot with FFmpeg's own sources or plain samples; nothing downloaded."""

from __future__ import annotations

import os
import subprocess
import wave
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofreel.adapters.ffmpeg import find_ffmpeg

Samples = NDArray[np.int16]

# Sound and picture codecs that each container takes, as FFmpeg arguments.
AUDIO_CODECS = {
    "aac": "aac", "aiff": "pcm_s16be", "flac": "flac", "m4a": "aac", "mp3": "libmp3lame",
    "ogg": "libvorbis", "opus": "libopus", "wav": "pcm_s16le", "webm": "libopus", "mp4": "aac",
    "mkv": "aac", "mov": "aac", "avi": "libmp3lame", "flv": "aac", "ts": "aac", "mpg": "mp2",
    "wma": "wmav2", "caf": "pcm_s16le", "amr": "libopencore_amrnb",
}  # fmt: skip


@lru_cache(maxsize=1)
def ffmpeg_path() -> Path:
    """Return the FFmpeg the product would use."""
    return find_ffmpeg(os.environ.get("FFMPEG_BINARY"))


def make(target: Path, *args: str) -> Path:
    """Run FFmpeg with `args` and `target` last; return `target`."""
    command = [str(ffmpeg_path()), "-nostdin", "-v", "error", "-y", *args, str(target)]
    subprocess.run(command, check=True, timeout=120)
    return target


def tone(duration_s: float, *, rate_hz: int = 16_000, tone_hz: float = 440.0) -> Samples:
    """Return a sine of a quarter of full scale, shape (n_samples,)."""
    times = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (8192 * np.sin(2 * np.pi * tone_hz * times)).astype(np.int16)


def write_wav(target: Path, samples: Samples, *, rate_hz: int = 16_000) -> Path:
    """Write mono samples of shape (n,) or interleaved ones of shape (n, channels)."""
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())
    return target


def read_wav(path: Path) -> Samples:
    """Return the samples of a 16 kHz mono 16-bit file; fail if it is anything else."""
    with wave.open(str(path), "rb") as file:
        form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        assert form == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)


def sounding_ms(samples: Samples, *, rate_hz: int = 16_000, above: int = 500) -> tuple[int, int]:
    """Return where sound begins and ends, in ms."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > above)
    assert loud.size, "there is no sound at all"
    return int(loud[0]) * 1000 // rate_hz, int(loud[-1]) * 1000 // rate_hz


def main_tone_hz(samples: Samples, *, rate_hz: int = 16_000) -> float:
    """Return the loudest frequency."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64)))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


def make_sound(
    target: Path, *, duration_s: float = 2.0, tone_hz: float = 440.0, codec: str | None = None
) -> Path:
    """Make a tone in the container that the suffix names."""
    source = f"sine=frequency={tone_hz}:sample_rate=44100:duration={duration_s}"
    codec = codec or AUDIO_CODECS[target.suffix[1:]]
    extra = ["-ar", "8000"] if target.suffix == ".amr" else []
    volume = ["-af", "volume=2"]  # lavfi's sine is an eighth of full scale
    return make(target, "-f", "lavfi", "-i", source, *volume, "-c:a", codec, *extra)


def make_video(
    target: Path,
    *,
    duration_s: float = 2.0,
    size: str = "160x120",
    frames_per_s: str = "25",
    sound: bool = True,
    sound_delay_s: float = 0.0,
    picture: str = "testsrc2",
    args: tuple[str, ...] = (),
) -> Path:
    """Make a test picture with a tone beneath; `args` go to FFmpeg before the target."""
    source = f"{picture}=size={size}:rate={frames_per_s}:duration={duration_s}"
    inputs = ["-f", "lavfi", "-i", source]
    if sound:
        heard_s = duration_s - sound_delay_s
        inputs += ["-itsoffset", str(sound_delay_s), "-f", "lavfi"]
        inputs += ["-i", f"sine=frequency=440:sample_rate=44100:duration={heard_s}"]
        inputs += ["-c:a", AUDIO_CODECS[target.suffix[1:]], "-af", "volume=2"]
    codec = {"webm": "libvpx", "mpg": "mpeg2video"}.get(target.suffix[1:], "libx264")
    speed = ["-preset", "ultrafast"] if codec == "libx264" else []
    return make(target, *inputs, "-c:v", codec, *speed, *args)


def make_cut(source: Path, target: Path, *, percent: int) -> Path:
    """Write the first `percent` of `source`."""
    data = source.read_bytes()
    target.write_bytes(data[: len(data) * percent // 100])
    return target
