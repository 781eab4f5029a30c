"""Our own 16 kHz mono WAV files as samples, without reading them into memory."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofreel.adapters.media_errors import MediaUnreadable

SAMPLE_RATE_HZ = 16_000


def read_pcm(path: Path) -> NDArray[np.int16]:
    """Return the samples of a WAV that `Media.extract_audio` wrote: shape (n,), -32768 to 32767.

    They are mapped, not loaded: an hour is 115 MB of file and next to nothing of memory.
    Raises MediaUnreadable if it is not such a file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            if form != (SAMPLE_RATE_HZ, 1, 2):
                raise MediaUnreadable(f"not 16 kHz mono 16 bit but {form}")
            count = file.getnframes()
            start = path.stat().st_size - count * 2
    except (wave.Error, EOFError) as error:
        raise MediaUnreadable(str(error)) from error
    if count == 0:
        return np.zeros(0, dtype=np.int16)
    if start < 0:
        raise MediaUnreadable("cut short")
    return np.memmap(path, dtype="<i2", mode="r", offset=start, shape=(count,))
