"""Decoded windows to segments of about a sentence, each with its window's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proofreel.core.model import Segment, Word

SAMPLES_PER_MS = 16
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "॥", "।", "؟")
_CLOSERS = "\"'”’»)]」』"
_PAUSE_MS = 1000  # a pause this long ends a segment even inside a sentence
_LONG_MS = 20_000  # speech without punctuation is cut at its longest pause beyond this
_ABBREVIATIONS = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs.", "e.g.", "i.e."})


def segments_of(decoded: Sequence[Mapping[str, Any]], duration_ms: int) -> tuple[Segment, ...]:
    """Return the segments of what `whisper_decode` sent, in order of time, ids from 0.

    Words never overlap, run backwards or reach beyond `duration_ms`.
    """
    segments: list[Segment] = []
    clock_ms = 0
    for one in sorted(decoded, key=_start):
        spoken: list[tuple[Word, str]] = []
        for raw in one["words"]:
            if not raw["text"].strip():
                continue
            start_ms = min(max(round(raw["start"] / SAMPLES_PER_MS), clock_ms), duration_ms)
            end_ms = min(max(round(raw["end"] / SAMPLES_PER_MS), start_ms), duration_ms)
            word = Word(start_ms, end_ms, raw["text"].strip(), round(raw["probability"], 4))
            spoken.append((word, raw["text"]))
            clock_ms = end_ms
        for part in _sentences(spoken):
            segments.append(
                Segment(
                    id=len(segments),
                    start_ms=part[0][0].start_ms,
                    end_ms=part[-1][0].end_ms,
                    text="".join(text for _, text in part).strip(),
                    avg_logprob=round(one["avg_logprob"], 4),
                    compression_ratio=round(one["compression_ratio"], 4),
                    no_speech_prob=round(one["no_speech_prob"], 4),
                    words=tuple(word for word, _ in part),
                )
            )
    return tuple(segments)


def _start(one: Mapping[str, Any]) -> int:
    return int(one["words"][0]["start"]) if one["words"] else 0


def _sentences(spoken: list[tuple[Word, str]]) -> list[list[tuple[Word, str]]]:
    parts: list[list[tuple[Word, str]]] = []
    current: list[tuple[Word, str]] = []
    for word, text in spoken:
        if current:
            last = current[-1][0]
            if _ends_sentence(last.text) or word.start_ms - last.end_ms >= _PAUSE_MS:
                parts += _shortened(current)
                current = []
        current.append((word, text))
    return parts + _shortened(current) if current else parts


def _ends_sentence(text: str) -> bool:
    bare = text.rstrip(_CLOSERS)
    return bare.endswith(_SENTENCE_ENDS) and text.lower() not in _ABBREVIATIONS


def _shortened(part: list[tuple[Word, str]]) -> list[list[tuple[Word, str]]]:
    if len(part) < 2 or part[-1][0].end_ms - part[0][0].start_ms <= _LONG_MS:
        return [part]
    # The longest pause; among equal ones that nearest to the middle.
    middle = len(part) / 2
    cut = max(
        range(1, len(part)),
        key=lambda i: (part[i][0].start_ms - part[i - 1][0].end_ms, -abs(i - middle)),
    )
    return _shortened(part[:cut]) + _shortened(part[cut:])
