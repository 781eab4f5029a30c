"""Passages an editor should look at, each with the numbers that led to it.

A rule is a function from `Material` to flags and one entry in `RULES`. Rules say what they see;
`find_flags` keeps the editor from drowning in what two of them see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proofreel.core.material import Material, Rule
from proofreel.core.model import Flag, Interval, Repeat, Silence, Transcript
from proofreel.core.rules_doubt import (
    find_doubtful_words,
    find_long_words,
    find_loops,
    find_text_without_speech,
)
from proofreel.core.rules_speech import find_corrections, find_fillers

_COVERED = 0.5  # of the flag: the passage is flagged already

# In order of what matters more to an editor: a passage gets the first reason that fits.
RULES: Mapping[str, Rule] = {
    "no_speech": find_text_without_speech,
    "loop": find_loops,
    "long_word": find_long_words,
    "filler": find_fillers,
    "correction": find_corrections,
    "low_confidence": find_doubtful_words,
}


def find_flags(
    transcript: Transcript,
    *,
    silences: Sequence[Silence] = (),
    repeats: Sequence[Repeat] = (),
    rules: Mapping[str, Rule] = RULES,
) -> tuple[Flag, ...]:
    """Return what the rules found, in order of time, one flag a passage.

    Where several rules see the same passage the earlier in `rules` wins. What `repeats` already
    show is not flagged as a correction, and nobody needs to check the words of a take that goes.
    """
    material = Material(transcript, silences, repeats)
    takes = [(i == r.keep, o) for r in repeats for i, o in enumerate(r.occurrences)]
    told = {
        "correction": [Interval(take.start_ms, take.end_ms) for _, take in takes],
        "low_confidence": [
            Interval(take.start_ms, take.end_ms) for keep, take in takes if not keep
        ],
    }
    kept: list[Flag] = []
    for rule in rules.values():
        known = [Interval(flag.start_ms, flag.end_ms) for flag in kept]
        for flag in rule(material):
            span = Interval(flag.start_ms, flag.end_ms)
            if not _is_covered(span, known + told.get(flag.reason, [])):
                kept.append(flag)
                known.append(span)
    return tuple(sorted(kept, key=lambda flag: (flag.start_ms, flag.end_ms, flag.reason)))


def _is_covered(span: Interval, known: Sequence[Interval]) -> bool:
    needed_ms = max(1, _COVERED * span.duration_ms)
    return any(
        min(span.end_ms, other.end_ms) - max(span.start_ms, other.start_ms) >= needed_ms
        for other in known
    )
