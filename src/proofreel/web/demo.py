"""A tape of no recording: what greets those who have none yet."""

from __future__ import annotations

import math
from functools import cache

from markupsafe import Markup

from proofreel.core.model import Flag, Occurrence, Repeat, Silence
from proofreel.core.tape import Tape, tape_svg

_LENGTH_MS = 60_000
_PEAKS = 240
_SILENCES = ((9_000, 14_000), (37_000, 43_500))
_TAKES = ((19_000, 25_000), (26_500, 33_000))
_FLAGS = (6_200, 35_200, 48_000, 55_500)


@cache
def demo_tape(height: int) -> Markup:
    """Return a drawing of one minute of speech that has two silences, a retake and four flags."""
    tape = Tape(
        duration_ms=_LENGTH_MS,
        peaks=tuple(map(_peak, range(_PEAKS))),
        silences=tuple(Silence(start, end, -60.0) for start, end in _SILENCES),
        repeats=(Repeat("full", 1.0, 1, tuple(Occurrence(a, b, "") for a, b in _TAKES)),),
        flags=tuple(Flag(at, at + 400, "filler", "") for at in _FLAGS),
    )
    svg = tape_svg(tape, height=height, title="What a recording looks like here")
    return Markup(svg)  # noqa: S704  # made of numbers


def _peak(index: int) -> float:
    """Return something like syllables in words in sentences; the periods share no divisor."""
    sentence = 0.55 + 0.45 * abs(math.sin(index / 17.0))
    word = abs(math.sin(index / 3.1))
    syllable = 0.6 + 0.4 * math.sin(index * 1.9)
    return max(0.05, sentence * word * syllable)
