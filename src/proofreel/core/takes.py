"""Takes of one sentence: which belong together, what kind of repeat they are, which one to keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from proofreel.core.wordmatch import Token, weigh

_SAME_TAKE = 0.5  # two spans that share half of the shorter are one take
_COMPLETE = 0.8  # of the longest take
_CLEARER_BY = 0.1  # mean word probability; less is within what a second decoding changes
MOST_TAKES = 10  # nobody tries more often; a recogniser in a loop does
_REFRAIN_TAKES = 4  # said that often, never twice in a row: a refrain or a slogan
_CLOSE_WORDS = 8  # "Sorry, let me start again." fits between two takes
_CLOSE_MS = 30_000


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Tokens [first, last)."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Match:
    """Two spans say the same; `similarity` is 0 to 1."""

    a: Span
    b: Span
    similarity: float


@dataclass(frozen=True, slots=True)
class TakeGroup:
    """Two or more takes in order of time. `similarity` is that of the least similar match."""

    takes: tuple[Span, ...]
    similarity: float


def close(tokens: Sequence[Token], a: Span, b: Span) -> bool:
    """Tell if take `b` follows take `a` at once, but for a few words or half a minute."""
    pause_ms = tokens[b.first].word.start_ms - tokens[a.last - 1].word.end_ms
    return b.first - a.last <= _CLOSE_WORDS and pause_ms <= _CLOSE_MS


def group_takes(tokens: Sequence[Token], matches: Iterable[Match]) -> tuple[TakeGroup, ...]:
    """Join the matches that share a take, in order of time; leave refrains and loops out."""
    groups: list[list[Match]] = []
    for match in matches:
        joined = [match]
        apart = []
        for group in groups:
            if any(_same(x, y) for x in _ends(group) for y in (match.a, match.b)):
                joined += group
            else:
                apart.append(group)
        groups = [*apart, joined]
    found = []
    for group in groups:
        takes = _distinct(_ends(group))
        refrain = len(takes) >= _REFRAIN_TAKES and not any(
            close(tokens, a, b) for a, b in pairwise(takes)
        )
        if 1 < len(takes) <= MOST_TAKES and not refrain:
            found.append(TakeGroup(takes, min(match.similarity for match in group)))
    return tuple(sorted(found, key=lambda group: group.takes))


def kind_of(tokens: Sequence[Token], takes: Sequence[Span]) -> str:
    """Return "multiple", "distant", "false_start" or "full"."""
    if len(takes) > 2:
        return "multiple"
    first, second = takes
    if not close(tokens, first, second):
        return "distant"
    return "full" if len(_complete(tokens, takes)) == 2 else "false_start"


def choose_take(tokens: Sequence[Token], takes: Sequence[Span]) -> tuple[int, str]:
    """Return the index of the take to keep and why, in words for people.

    Speakers repeat themselves to mend something, so the last complete take it is, unless the
    recogniser was much surer of an earlier one.
    """
    complete = _complete(tokens, takes)
    last = complete[-1]
    if len(complete) == 1:
        return last, "the only complete take"
    clearest = max(complete, key=lambda i: confidence(tokens, takes[i]))
    if confidence(tokens, takes[clearest]) - confidence(tokens, takes[last]) > _CLEARER_BY:
        return clearest, "spoken more clearly than the last take"
    return last, "the last complete take"


def confidence(tokens: Sequence[Token], take: Span) -> float:
    """Return the mean probability of the take's words, 0 to 1."""
    words = tokens[take.first : take.last]
    return sum(token.word.probability for token in words) / len(words)


def _complete(tokens: Sequence[Token], takes: Sequence[Span]) -> list[int]:
    weights = [weigh(tokens[take.first : take.last]) for take in takes]
    return [i for i, weight in enumerate(weights) if weight >= _COMPLETE * max(weights)]


def _ends(group: Iterable[Match]) -> list[Span]:
    return [span for match in group for span in (match.a, match.b)]


def _same(a: Span, b: Span) -> bool:
    shared = min(a.last, b.last) - max(a.first, b.first)
    return shared >= _SAME_TAKE * min(a.last - a.first, b.last - b.first)


def _distinct(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Merge the spans that are one take into the longest of them; let no two overlap."""
    longest: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.first - s.last, s.first)):
        if not any(_same(span, known) for known in longest):
            longest.append(span)
    takes: list[Span] = []
    for span in sorted(longest):
        first = max(span.first, takes[-1].last) if takes else span.first
        takes.append(Span(first, span.last))
    return tuple(takes)
