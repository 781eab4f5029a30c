"""Loudness -> silent intervals, by a threshold that follows the recording's own noise floor.

Three observations carry the method. Within any two seconds of speech there is a vowel, so speech
never stays far below its own loud parts for that long. Room noise lies under the whole recording,
so the quiet end of the level distribution shows it, while music or noise in one place does not.
And quiet speech moves from syllable to syllable, while noise and rooms stand still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofreel.core.levels import FLOOR_DBFS, Levels, to_dbfs, to_power
from proofreel.core.model import Silence

AT_LEAST_MS = 2000

# Decibels. Chosen on read speech with pauses over digital zero and over rooms 20 to 60 dB below
# the voice; tests hold them against other voices, rooms and levels.
_FLOOR_PERCENTILE = 5
_VOICE_PERCENTILE = 90  # of the windows that stand out of the floor
_STANDS_OUT_DB = 15  # voice over floor; less contrast than this is one even sound
_BELOW_VOICE_DB = 25  # always silence: the softest syllables of a phrase lie 15 to 20 below
_OVER_FLOOR_DB = 6  # silence in a noisy room: the noise itself varies by 2 to 4
_CLEAR_OF_VOICE_DB = 12  # the noisiest room in which voice and room can be told apart
_EVEN_SOUND_DBFS = -45.0  # a recording without any contrast is silent below this, else a sound
_INAUDIBLE_DB = 55  # below the voice: where nobody hears a difference
_EDGE_OVER_ROOM_DB = 4  # over the loudest hundredth of the room: a breath, a consonant's tail
_EDGE_OVER_ROOM_EVEN_DB = 1  # the same over 50 ms, where the room varies less
_STICKS_OUT_DB = 10
_SYLLABLE_STEP_DB = 3.0  # typical change over 100 ms: noise about 1, speech 5 to 10

_SMOOTH_MS = 50
_STEP_MS = 100
_CLICK_MS = 60  # a click or a knock is shorter, a spoken word longer
_CLICK_APART_MS = 500  # and has silence on both sides; a final consonant follows its word
_TAIL_GAP_MS = 150  # closure before the final consonant of "truck", between breath and word


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where silence begins. Below `silence_dbfs` (50 ms RMS) it is silent; a stretch is then
    narrowed to where the level stays at the room's own, which is never sought below
    `inaudible_dbfs`."""

    silence_dbfs: float
    inaudible_dbfs: float


def find_silences(
    levels: Levels, *, at_least_ms: int = AT_LEAST_MS, threshold_dbfs: float | None = None
) -> tuple[Silence, ...]:
    """Return the stretches of at least `at_least_ms` without sound, in time order.

    `threshold_dbfs` None: found from the recording. Steady room noise counts as silence, music
    and murmur do not; clicks shorter than 60 ms do not interrupt one. A recording that is all
    silent is one silence. Raises ValueError if `at_least_ms` is not positive.
    """
    if at_least_ms <= 0:
        raise ValueError(f"at_least_ms must be positive, got {at_least_ms}")
    if not levels.dbfs.size:
        return ()
    smooth = _smooth(levels)
    limits = find_thresholds(levels, threshold_dbfs=threshold_dbfs)
    found = []
    for start, end in _runs_below(smooth, limits.silence_dbfs, levels.window_ms):
        if (end - start) * levels.window_ms < at_least_ms:
            continue
        if threshold_dbfs is None and _moves(levels, start, end, limits):
            continue
        start, end = _narrow(levels, smooth, start, end, limits)
        span = (start * levels.window_ms, min(end * levels.window_ms, levels.duration_ms))
        if span[1] - span[0] >= at_least_ms:
            found.append(Silence(*span, level_dbfs=_mean_dbfs(levels.dbfs[start:end])))
    return tuple(found)


def find_thresholds(levels: Levels, *, threshold_dbfs: float | None = None) -> Thresholds:
    """Return the limits that suit this recording; a given `threshold_dbfs` is kept as it is."""
    smooth = _smooth(levels)
    if not smooth.size:
        return Thresholds(_EVEN_SOUND_DBFS, FLOOR_DBFS)
    floor = float(np.percentile(smooth, _FLOOR_PERCENTILE))
    standing_out = smooth[smooth > max(floor, -80.0) + _STANDS_OUT_DB]
    if not standing_out.size:
        even = _EVEN_SOUND_DBFS if threshold_dbfs is None else threshold_dbfs
        return Thresholds(even, even)
    voice = float(np.percentile(standing_out, _VOICE_PERCENTILE))
    adapted = max(voice - _BELOW_VOICE_DB, min(floor + _OVER_FLOOR_DB, voice - _CLEAR_OF_VOICE_DB))
    silence = adapted if threshold_dbfs is None else threshold_dbfs
    return Thresholds(silence, min(voice - _INAUDIBLE_DB, silence))


def _smooth(levels: Levels) -> NDArray[np.float32]:
    """Return the RMS over 50 ms around each window, as decibels."""
    n = max(1, _SMOOTH_MS // levels.window_ms) | 1
    if n == 1 or not levels.dbfs.size:
        return levels.dbfs
    padded = np.pad(to_power(levels.dbfs), n // 2, mode="edge")
    total = np.concatenate(([0.0], np.cumsum(padded, dtype=np.float64)))
    return to_dbfs(((total[n:] - total[:-n]) / n).astype(np.float32))


def _runs_below(
    smooth: NDArray[np.float32], limit_dbfs: float, window_ms: int
) -> list[tuple[int, int]]:
    """Return [start, end) of the runs below the limit, joined over clicks."""
    below = np.concatenate(([False], smooth < limit_dbfs, [False]))
    edges = np.flatnonzero(below[1:] != below[:-1])
    apart = _CLICK_APART_MS // window_ms
    widened_click = (_CLICK_MS + _SMOOTH_MS) // window_ms
    runs: list[tuple[int, int]] = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if (
            runs
            and start - runs[-1][1] <= widened_click
            and min(end - start, runs[-1][1] - runs[-1][0]) >= apart
        ):
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs


def _moves(levels: Levels, start: int, end: int, limits: Thresholds) -> bool:
    """Tell if the stretch rises and falls like speech or music heard from afar."""
    n = max(1, _STEP_MS // levels.window_ms)
    margin = (_CLICK_APART_MS // levels.window_ms) if end - start > 4 * n + 100 else 0
    inner = to_power(levels.dbfs[start + margin : end - margin])
    steps = inner[: inner.size // n * n].reshape(-1, n).mean(axis=1)
    heard = np.maximum(to_dbfs(steps), limits.inaudible_dbfs)
    return heard.size > 2 and float(np.median(np.abs(np.diff(heard)))) > _SYLLABLE_STEP_DB


def _narrow(
    levels: Levels, smooth: NDArray[np.float32], start: int, end: int, limits: Thresholds
) -> tuple[int, int]:
    """Move both edges inwards, past what is left of the speech beside them.

    The smoothed threshold finds the stretch; the levels within it say what its room sounds like,
    and so where the last consonant really ends and the first breath begins. A short sound shows
    in the plain levels, a soft and longer one in the smoothed.
    """
    plain, even = levels.dbfs[start:end], smooth[start:end]
    plain_limit = _loudest_of_room(plain) + _EDGE_OVER_ROOM_DB
    even_limit = _loudest_of_room(even) + _EDGE_OVER_ROOM_EVEN_DB
    sounds = (plain > plain_limit) | ((even > even_limit) & (plain > even_limit))
    loud = np.flatnonzero(sounds & (plain > limits.inaudible_dbfs))
    gap = _TAIL_GAP_MS // levels.window_ms
    size = end - start
    head = _reach(loud, gap) if start > 0 else 0
    tail = _reach((size - 1 - loud)[::-1], gap) if end < levels.dbfs.size else 0
    return (start + head, end - tail) if head + tail < size else (end, end)


def _loudest_of_room(dbfs: NDArray[np.float32]) -> float:
    """Return the 99th percentile of the stretch without the sounds that stick out of it."""
    return float(np.percentile(dbfs[dbfs < np.percentile(dbfs, 75) + _STICKS_OUT_DB], 99))


def _reach(loud: NDArray[np.intp], gap: int) -> int:
    """Return how many windows from the edge belong to sound: `loud` without a gap above `gap`."""
    reached = 0
    for position in loud.tolist():
        if position - reached > gap:
            break
        reached = position + 1
    return reached


def _mean_dbfs(dbfs: NDArray[np.float32]) -> float:
    mean = float(to_dbfs(np.array([to_power(dbfs).mean(dtype=np.float64)], dtype=np.float32))[0])
    return round(max(mean, FLOOR_DBFS), 1)
