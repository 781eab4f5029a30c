"""Speech whose words and times are known, made by espeak-ng: nothing recorded, nothing downloaded.

Sound is int16 at 16 kHz, shape (n_samples,), full scale 32767. `tiny.en` understands it.
"""

from __future__ import annotations

import ctypes
import threading
import wave
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000

Samples = NDArray[np.int16]

# From espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_PARAMETER_RATE = 1
_EE_OK = 0

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Espeak:
    """The one espeak-ng of this process; its C library keeps global state, so calls take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: list[Samples] = []
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate_hz: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS,
            0,
            espeakng_loader.get_data_path().encode(),
            _INITIALIZE_DONT_EXIT,
        )
        if self.rate_hz <= 0:
            raise RuntimeError("espeak-ng found no voices")
        self._callback: Callable[..., Any] = _Callback(self._take)  # kept alive for the library
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, sound: Any, count: int, _events: Any) -> int:
        if sound and count > 0:
            self._parts.append(np.ctypeslib.as_array(sound, shape=(count,)).copy())
        return 0

    def synthesize(self, text: str, voice: str, wpm: int) -> Samples:
        with self._lock:
            self._parts.clear()
            if self._library.espeak_SetVoiceByName(voice.encode()) != _EE_OK:
                raise ValueError(f"espeak-ng has no voice {voice!r}")
            self._library.espeak_SetParameter(_PARAMETER_RATE, wpm, 0)
            data = text.encode()
            status = self._library.espeak_Synth(
                data, len(data) + 1, 0, 0, 0, _CHARS_UTF8, None, None
            )
            if status != _EE_OK:
                raise RuntimeError(f"espeak-ng returned {status}")
            return np.concatenate(self._parts) if self._parts else np.zeros(0, np.int16)


@lru_cache(maxsize=1)
def _espeak() -> _Espeak:
    return _Espeak()


def speak(text: str, *, voice: str = "en-us", wpm: int = 160) -> Samples:
    """Return `text` spoken by espeak-ng's `voice` at `wpm` words per minute.

    Raises ValueError for a voice that is not there.
    """
    return resample(_espeak().synthesize(text, voice, wpm), _espeak().rate_hz, RATE_HZ)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Return `samples` at another rate, by cutting or padding the spectrum (no aliasing)."""
    if from_hz == to_hz or not samples.size:
        return samples
    n_out = round(samples.size * to_hz / from_hz)
    spectrum = np.fft.rfft(samples.astype(np.float64))
    moved = np.zeros(n_out // 2 + 1, dtype=np.complex128)
    kept = min(moved.size, spectrum.size)
    moved[:kept] = spectrum[:kept]
    return _rounded(np.fft.irfft(moved, n_out) * (n_out / samples.size))


def _rounded(sound: NDArray[np.float64]) -> Samples:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def pause(seconds: float) -> Samples:
    """Return digital silence."""
    return np.zeros(round(seconds * RATE_HZ), dtype=np.int16)


def noise(seconds: float, *, level_dbfs: float = -60.0, seed: int = 1) -> Samples:
    """Return white noise whose RMS is `level_dbfs` (0 = full scale), the same for the same seed."""
    rms = 32767 * 10 ** (level_dbfs / 20)
    return _rounded(np.random.default_rng(seed).normal(0.0, rms, round(seconds * RATE_HZ)))


def tone(seconds: float, *, frequency_hz: float = 440.0, level_dbfs: float = -20.0) -> Samples:
    """Return a sine whose RMS is `level_dbfs`: sound that is not speech."""
    peak = 32767 * 10 ** (level_dbfs / 20) * np.sqrt(2)
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return _rounded(peak * np.sin(2 * np.pi * frequency_hz * times_s))


def mix(first: Samples, second: Samples) -> Samples:
    """Return both at once, as long as the longer."""
    total = np.zeros(max(first.size, second.size), dtype=np.int32)
    total[: first.size] += first
    total[: second.size] += second
    return np.clip(total, -32768, 32767).astype(np.int16)


@dataclass(frozen=True)
class Spoken:
    """Where one line of a script lies in the sound; a pause has no text."""

    text: str
    start_ms: int
    end_ms: int


def script(
    *lines: str | float, voice: str = "en-us", wpm: int = 160
) -> tuple[Samples, tuple[Spoken, ...]]:
    """Speak texts and keep pauses (numbers, in seconds) one after another.

    Returns the sound and where each text lies in it, so that a test knows what must be found.
    """
    parts: list[Samples] = []
    spoken: list[Spoken] = []
    n_before = 0
    for line in lines:
        part = speak(line, voice=voice, wpm=wpm) if isinstance(line, str) else pause(line)
        if isinstance(line, str):
            start_ms, end_ms = (n * 1000 // RATE_HZ for n in (n_before, n_before + part.size))
            spoken.append(Spoken(line, start_ms, end_ms))
        parts.append(part)
        n_before += part.size
    return np.concatenate(parts) if parts else pause(0), tuple(spoken)


def write_wav(path: Path, samples: Samples, *, rate_hz: int = RATE_HZ) -> Path:
    """Write 16-bit mono WAV and return `path`."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.astype("<i2").tobytes())
    return path
