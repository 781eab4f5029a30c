"""Words -> subtitle cues: one or two lines that read as phrases and stay long enough to be read.

Cues are built from words, never from Whisper's segments, which last up to 30 s in batched mode.
Where to cut is the cheapest path over all words: each cue and each cut has a cost, and a recording
of n words takes O(n * words in a cue).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from proofreel.core.model import Cue, Transcript
from proofreel.core.phrasing import SENTENCE, break_cost
from proofreel.core.pieces import Piece, join_pieces, timed_pieces

CUE_COST = 2.0  # of any cue: few are better than many; the scale is that of phrasing.break_cost
SHORT_WIDTH = 16.0  # a narrower cue is a scrap of a phrase


@dataclass(frozen=True, slots=True)
class CueLimits:
    """What a cue may be; the defaults are those of Netflix's general timed text style guide."""

    line_width: int = 42  # Latin characters; 16 Chinese or Japanese ones take the same room
    longest_ms: int = 7000
    shortest_ms: int = 833  # where there is room
    gap_ms: int = 83  # two frames: cues are this far apart at least, or touch
    close_ms: int = 500  # a shorter gap flickers: the cue stays until `gap_ms` before the next
    pause_ms: int = 700  # cues do not reach over a pause this long
    chars_per_s: float = 20.0  # aimed at

    def __post_init__(self) -> None:
        if min(self.line_width, self.shortest_ms, self.pause_ms, self.chars_per_s) <= 0:
            raise ValueError("the limits of a cue must be positive")
        if not 0 <= self.gap_ms <= self.shortest_ms <= self.longest_ms:
            raise ValueError("gap_ms <= shortest_ms <= longest_ms must hold, all from 0 up")


def make_cues(transcript: Transcript, *, limits: CueLimits = CueLimits()) -> tuple[Cue, ...]:
    """Return the cues of `transcript`: in order, apart, none empty, every word in exactly one.

    A line holds at most `line_width`, a cue two lines. No cue reaches past the end of the media,
    given at least a millisecond of media for each. A segment without words has its text spread
    evenly over its time. Words that overlap or run backwards are tolerated.
    """
    pieces = _in_order(transcript, limits)
    if not pieces:
        return ()
    costs = _Costs(pieces, transcript.duration_ms, transcript.language, limits)
    groups = _cheapest_groups(costs, len(pieces))
    times = _screen_times(
        [(pieces[a].start_ms, pieces[b].end_ms, costs.width(a, b)) for a, b in groups],
        transcript.duration_ms,
        limits,
    )
    return tuple(
        Cue(start_ms, end_ms, costs.lines(a, b))
        for (a, b), (start_ms, end_ms) in zip(groups, times, strict=True)
    )


def _in_order(transcript: Transcript, limits: CueLimits) -> list[Piece]:
    """Return all pieces with times that never run backwards or past the end of the media."""
    pieces: list[Piece] = []
    now_ms = 0
    raw = [
        piece
        for segment in transcript.segments
        for piece in timed_pieces(segment, limits.line_width)
    ]
    for n, piece in enumerate(raw):
        start_ms = min(max(piece.start_ms, now_ms), max(transcript.duration_ms, 0))
        end_ms = min(max(piece.end_ms, start_ms), max(transcript.duration_ms, start_ms))
        if n + 1 < len(raw):
            end_ms = max(start_ms, min(end_ms, raw[n + 1].start_ms))
        pieces.append(replace(piece, start_ms=start_ms, end_ms=end_ms))
        now_ms = start_ms
    return pieces


class _Costs:
    """What cues and cuts cost. `cut[n]` is the junction after piece n."""

    def __init__(
        self, pieces: list[Piece], duration_ms: int, language: str, limits: CueLimits
    ) -> None:
        self.pieces, self.limits = pieces, limits
        self.ends = list(accumulate((p.width + p.spaced for p in pieces), initial=0.0))
        self.cut: list[float] = []  # to end a cue there, or the first of its lines
        keep: list[float] = []  # to go on there in the same cue
        for left, right in pairwise(pieces):
            syntax = break_cost(left.text, right.text, spaced=right.spaced, language=language)
            pause = (right.start_ms - left.end_ms) / limits.pause_ms
            ease = 1.0 - 0.7 * min(pause, 1.0)
            self.cut.append(syntax * ease)
            keep.append(
                (2.0 if syntax == SENTENCE else 0.0)
                + (3.0 * pause if pause < 1 else 15.0 + min(10.0 * pause, 100.0))
            )
        self.cut.append(0.0)
        self.kept = list(accumulate(keep, initial=0.0))
        starts = [piece.start_ms for piece in pieces]
        self.line_to, self.line_from = self._reaches()
        self.next_start = [*starts[1:], max(duration_ms, pieces[-1].end_ms)]

    def width(self, first: int, last: int) -> float:
        """Return the width of the pieces `first` to `last` written in one line."""
        return self.ends[last + 1] - self.ends[first] - self.pieces[first].spaced

    def _reaches(self) -> tuple[list[int], list[int]]:
        """Return by piece: one past the last that fits a line with it, and the first that does."""
        count = len(self.pieces)
        line_to, line_from, last = [], [0] * count, 0
        for first in range(count):
            last = max(last, first)
            while last + 1 < count and self.width(first, last + 1) <= self.limits.line_width:
                last += 1
            line_to.append(last + 1)
        for first in range(count - 1, -1, -1):
            line_from[first : line_to[first]] = [first] * (line_to[first] - first)
        return line_to, line_from

    def cues_from(self, first: int) -> Iterator[tuple[int, float]]:
        """Yield every piece that a cue from `first` may end with, and the cost of that cue."""
        limits, pieces, cut, kept = self.limits, self.pieces, self.cut, self.kept
        begin_ms, one_line_to = pieces[first].start_ms, self.line_to[first]
        left_edge = self.ends[first] + pieces[first].spaced
        for last in range(first, len(pieces)):
            width = self.ends[last + 1] - left_edge
            cost = CUE_COST + kept[last] - kept[first] + cut[last]
            if last >= one_line_to:
                line_ends = cut[max(first, self.line_from[last] - 1) : one_line_to]
                if not line_ends:
                    return
                cost += 0.5 * min(line_ends)
            if last > first and pieces[last].end_ms - begin_ms > limits.longest_ms:
                return
            cost += (width / limits.line_width) ** 2 / 2  # even lengths, not a full cue and a rest
            if width < SHORT_WIDTH:
                cost += (SHORT_WIDTH - width) / 4
            need_ms = max(limits.shortest_ms, 1000 * width / limits.chars_per_s)
            room_ms = self.next_start[last] - begin_ms
            if room_ms < need_ms:
                cost += 8 * (1 - room_ms / need_ms)
            yield last, cost

    def lines(self, first: int, last: int) -> tuple[str, ...]:
        """Return the one or two lines of a cue, broken where it reads best."""
        if last < self.line_to[first]:
            return (self._line(first, last),)

        def cost(end: int) -> float:
            slant = self.width(first, end) - self.width(end + 1, last)
            return self.cut[end] + 0.15 * abs(slant) + (0.5 if slant > 0 else 0.0)

        ends = range(max(first, self.line_from[last] - 1), self.line_to[first])
        best = min(ends, key=cost)
        return self._line(first, best), self._line(best + 1, last)

    def _line(self, first: int, last: int) -> str:
        return join_pieces(self.pieces[first : last + 1])


def _cheapest_groups(costs: _Costs, count: int) -> list[tuple[int, int]]:
    """Return the first and last piece of every cue of the cheapest way to cut."""
    total = [0.0, *[float("inf")] * count]
    came_from = [0] * (count + 1)
    for first in range(count):
        for last, cost in costs.cues_from(first):
            if total[first] + cost < total[last + 1]:
                total[last + 1], came_from[last + 1] = total[first] + cost, first
    groups = []
    end = count
    while end:
        groups.append((came_from[end], end - 1))
        end = came_from[end]
    return groups[::-1]


def _screen_times(
    spoken: list[tuple[int, int, float]], duration_ms: int, limits: CueLimits
) -> list[tuple[int, int]]:
    """Return when each cue appears and goes, given (start_ms, end_ms, width) of what is spoken."""
    count = len(spoken)
    media_ms = max(duration_ms, count)
    floor_ms = min(40, media_ms // count)  # a frame, where there is room for one
    starts: list[int] = []
    ends: list[int] = []
    for n, (start_ms, end_ms, width) in enumerate(spoken):
        limit_ms = spoken[n + 1][0] - limits.gap_ms if n + 1 < count else media_ms
        need_ms = max(limits.shortest_ms, round(1000 * width / limits.chars_per_s))
        end_ms = max(end_ms, min(limit_ms, start_ms + need_ms))
        if end_ms - start_ms < limits.shortest_ms:  # come early into silence rather than flash
            earliest_ms = ends[-1] + limits.gap_ms if n else 0
            start_ms = min(start_ms, max(earliest_ms, end_ms - limits.shortest_ms))
        # Each cue needs a floor of its own, however the words are crowded.
        start_ms = max(start_ms, starts[-1] + floor_ms if n else 0)
        start_ms = min(start_ms, media_ms - (count - n) * floor_ms)
        starts.append(start_ms)
        ends.append(max(end_ms, start_ms + floor_ms))
    return [
        (start_ms, _leave(start_ms, end_ms, next_ms, limits))
        for start_ms, end_ms, next_ms in zip(starts, ends, [*starts[1:], media_ms], strict=True)
    ]


def _leave(start_ms: int, end_ms: int, next_ms: int, limits: CueLimits) -> int:
    """Return when a cue goes: as the next one comes, or so long before that nothing flickers."""
    latest_ms = start_ms + limits.longest_ms
    end_ms = min(end_ms, latest_ms)
    if next_ms - end_ms < limits.gap_ms:
        return next_ms if next_ms <= latest_ms else next_ms - limits.gap_ms
    if next_ms - end_ms < limits.close_ms:
        return min(next_ms - limits.gap_ms, latest_ms)
    return end_ms
