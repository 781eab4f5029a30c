"""Audio samples -> loudness per window, and the few peaks that a drawing needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOOR_DBFS = -120.0  # digital zero; 16-bit audio cannot go below -96 without being zero
WINDOW_MS = 10
_BLOCK_SAMPLES = 1 << 20  # about a minute at 16 kHz: 4 MB as float32
_DRAWN_EXPONENT = 0.4  # of the power: 0.5 would draw the amplitude itself
_DRAWN_FULL_DBFS = -40.0  # a recording quieter than this is not blown up to fill the strip

Samples = NDArray[np.int16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Loudness over time: `dbfs` has shape (n_windows,), float32, RMS per window, 0 = full scale.

    Every window is `window_ms` long but the last, which may be cut short by the end of the audio.
    """

    dbfs: NDArray[np.float32]
    window_ms: int
    duration_ms: int


def measure_levels(
    samples: Samples | Iterable[Samples], *, sample_rate_hz: int = 16000, window_ms: int = WINDOW_MS
) -> Levels:
    """Return the RMS level of every window; digital zero is `FLOOR_DBFS`.

    `samples` is mono audio, shape (n,), int16 or float32 in [-1, 1]: one array (a memmap is read a
    block at a time) or any number of consecutive ones, so that memory stays bounded however long
    the recording is. Raises ValueError for another shape or type, or a window that is not a whole
    number of samples.
    """
    per_window, rest = divmod(sample_rate_hz * window_ms, 1000)
    if per_window < 1 or rest:
        raise ValueError(f"a window of {window_ms} ms at {sample_rate_hz} Hz is not whole samples")
    parts: list[NDArray[np.float32]] = []
    carry = np.empty(0, dtype=np.float32)
    n_samples = 0
    for block in _blocks(samples):
        n_samples += block.size
        joined = np.concatenate((carry, block)) if carry.size else block
        n_whole = joined.size // per_window * per_window
        parts.append(_window_levels(joined[:n_whole].reshape(-1, per_window)))
        carry = joined[n_whole:]
    if carry.size:
        parts.append(_window_levels(carry.reshape(1, -1)))
    dbfs = np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)
    return Levels(dbfs, window_ms, round(n_samples * 1000 / sample_rate_hz))


def to_dbfs(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mean squares (1 = full scale) as decibels, not below `FLOOR_DBFS`."""
    floor_power = 10.0 ** (FLOOR_DBFS / 10)
    dbfs = (10.0 * np.log10(np.maximum(power, floor_power))).astype(np.float32)
    floored: NDArray[np.float32] = np.maximum(dbfs, np.float32(FLOOR_DBFS))  # log10 rounds
    return floored


def to_power(dbfs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return decibels as mean squares (1 = full scale)."""
    power: NDArray[np.float32] = np.power(np.float32(10), dbfs / np.float32(10), dtype=np.float32)
    return power


def waveform(levels: Levels, n: int = 240) -> tuple[float, ...]:
    """Return at most `n` peaks, 0 to 1, evenly spaced over the recording, for drawing.

    Each is the RMS of its stretch; the loudest are 1, unless the whole recording is very quiet. It
    is bent a little upwards, which keeps a soft voice visible beside a loud one.
    """
    n_windows = levels.dbfs.size
    n = min(n, n_windows)
    if n < 1:
        return ()
    edges = np.arange(n + 1) * n_windows // n
    power = np.add.reduceat(to_power(levels.dbfs), edges[:-1]) / np.diff(edges)
    full = max(float(np.percentile(power, 95)), 10.0 ** (_DRAWN_FULL_DBFS / 10))
    heights = np.minimum(1, power / full) ** _DRAWN_EXPONENT
    return tuple(round(float(height), 2) for height in heights)


def _blocks(samples: Samples | Iterable[Samples]) -> Iterator[NDArray[np.float32]]:
    for chunk in (samples,) if isinstance(samples, np.ndarray) else samples:
        if chunk.ndim != 1 or chunk.dtype not in (np.int16, np.float32):
            raise ValueError(
                f"samples must be int16 or float32 of shape (n,), got {chunk.dtype} {chunk.shape}"
            )
        scale = np.float32(1 / 32768 if chunk.dtype == np.int16 else 1)
        for start in range(0, chunk.size, _BLOCK_SAMPLES):
            yield chunk[start : start + _BLOCK_SAMPLES].astype(np.float32) * scale


def _window_levels(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", windows, windows)
    return to_dbfs(squares / np.float32(windows.shape[1]))
