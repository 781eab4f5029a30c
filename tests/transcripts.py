"""Transcripts whose words and times are known, written as texts and pauses."""

from __future__ import annotations

from collections.abc import Mapping

from proofreel.core.model import Segment, Transcript, Word

WORD_MS = 300


def segment(
    text: str,
    *,
    start_ms: int = 0,
    word_ms: int = WORD_MS,
    probabilities: Mapping[str, float] | None = None,
    lengths_ms: Mapping[str, int] | None = None,
    number: int = 0,
) -> Segment:
    """A segment whose words follow each other at once, each as long and as sure as is said."""
    words, now_ms = [], start_ms
    for word in text.split():
        length_ms = (lengths_ms or {}).get(word, word_ms)
        words.append(Word(now_ms, now_ms + length_ms, word, (probabilities or {}).get(word, 0.9)))
        now_ms += length_ms
    return Segment(number, start_ms, now_ms, text, -0.2, 1.3, 0.01, tuple(words))


def transcript(
    *lines: str | float,
    language: str = "en",
    probabilities: Mapping[str, float] | None = None,
    lengths_ms: Mapping[str, int] | None = None,
) -> Transcript:
    """A transcript with a segment for each text; numbers are pauses in seconds before the next."""
    segments: list[Segment] = []
    now_ms = 0
    for line in lines:
        if isinstance(line, str):
            made = segment(
                line,
                start_ms=now_ms,
                probabilities=probabilities,
                lengths_ms=lengths_ms,
                number=len(segments),
            )
            segments.append(made)
            now_ms = made.end_ms
        else:
            now_ms += round(line * 1000)
    return Transcript(language, now_ms, "base", tuple(segments))
