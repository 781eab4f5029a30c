"""A segment as the pieces that stay whole in every text made from it, each with its time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from proofreel.core.model import Segment
from proofreel.core.phrasing import is_unspaced, split_wide, split_words, text_width

_LOOK_AHEAD = 16  # characters of a segment's text that its words may leave out


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, or a part of one that is too wide for a line."""

    start_ms: int
    end_ms: int
    text: str  # never empty, no white space
    spaced: bool  # a space parts it from the piece before it
    width: float  # see phrasing.text_width; at least 1


def timed_pieces(segment: Segment, limit: float = float("inf")) -> Iterator[Piece]:
    """Yield the pieces of `segment`, none wider than `limit`, with the times of its words.

    Words carry no spaces, so the text of the segment tells where these stand ("state-of-the-art"
    is four words to Whisper, a Japanese sentence dozens). A segment without words has its text
    spread over its time by width.
    """
    if any(word.text.strip() for word in segment.words):
        timed = [(word.start_ms, word.end_ms, word.text) for word in segment.words]
    else:
        timed = _spread(segment.start_ms, segment.end_ms, split_words(segment.text))
    flat = " ".join(segment.text.split())
    position, before = 0, ""
    for start_ms, end_ms, text in timed:
        parts = [part for word in text.split() for part in split_wide(word, limit)]
        for part_start_ms, part_end_ms, part in _spread(start_ms, end_ms, parts):
            found = flat.find(part, position, position + len(part) + _LOOK_AHEAD)
            if found >= 0 and before:
                spaced = " " in flat[position:found]
            else:
                spaced = not (is_unspaced(part[0]) or (before and is_unspaced(before[-1])))
            position = found + len(part) if found >= 0 else position
            before = part
            yield Piece(part_start_ms, part_end_ms, part, spaced, max(1.0, text_width(part)))


def _spread(start_ms: int, end_ms: int, texts: list[str]) -> list[tuple[int, int, str]]:
    """Share the time among `texts` by their width."""
    ends = list(accumulate((max(1.0, text_width(text)) for text in texts), initial=0.0))
    span_ms = max(0, end_ms - start_ms)
    edges = [start_ms + round(span_ms * end / (ends[-1] or 1.0)) for end in ends]
    return [(a, b, text) for (a, b), text in zip(pairwise(edges), texts, strict=True)]


def join_pieces(pieces: list[Piece]) -> str:
    """Return the pieces as one line of text."""
    words = (f" {piece.text}" if piece.spaced else piece.text for piece in pieces)
    return "".join(words).lstrip()
