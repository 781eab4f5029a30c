"""The tape: one strip that shows a recording, its silences, retakes and flags, as data and as SVG.

The drawing holds no colours: `tape-wave`, `tape-silence`, `tape-retake` and `tape-flag` are classes
for the page's style sheet. Silences are hollow, retakes bracketed above, flags wedges below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby, pairwise
from typing import Any

from proofreel.core.findings import count_of
from proofreel.core.levels import FLOOR_DBFS
from proofreel.core.model import Flag, Occurrence, Repeat, Silence
from proofreel.core.timecode import to_duration

MAX_PEAKS = 240
_WIDTH = 1000.0  # of the stretched part, in units of its view box
_NARROWEST = 4.0  # a bracket or an outline that is still seen in a row of the list
_FLAGS_APART = 6.0  # closer wedges would be one blot
_MARKS_SHARE = 0.2  # of the height, above and below the waveform
_LEAST_MARKS_PX, _MOST_MARKS_PX = 5.0, 11.0


@dataclass(frozen=True, slots=True)
class Tape:
    """What the strip shows; `peaks` are 0 to 1, evenly spaced over the recording."""

    duration_ms: int
    peaks: tuple[float, ...] = ()
    silences: tuple[Silence, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    flags: tuple[Flag, ...] = ()


def tape_to_json(tape: Tape) -> dict[str, object]:
    """Return what drawing needs as small JSON values: times in ms, peaks in hundredths.

    Texts, levels and evidence are left out; the report has them.
    """
    return {
        "duration_ms": tape.duration_ms,
        "peaks": [round(100 * peak) for peak in _at_most(tape.peaks, MAX_PEAKS)],
        "silences": [[silence.start_ms, silence.end_ms] for silence in tape.silences],
        "repeats": [
            {
                "kind": repeat.kind,
                "keep": repeat.keep,
                "takes": [[take.start_ms, take.end_ms] for take in repeat.occurrences],
            }
            for repeat in tape.repeats
        ],
        "flags": [[flag.start_ms, flag.end_ms, flag.reason] for flag in tape.flags],
    }


def tape_from_json(data: Any) -> Tape:
    """Return the tape in `data`; what JSON leaves out is empty. Raises ValueError if damaged."""
    try:
        return Tape(
            duration_ms=int(data["duration_ms"]),
            peaks=tuple(min(100, max(0, int(peak))) / 100 for peak in data["peaks"]),
            silences=tuple(Silence(int(a), int(b), FLOOR_DBFS) for a, b in data["silences"]),
            repeats=tuple(
                Repeat(
                    kind=str(repeat["kind"]),
                    similarity=1.0,
                    keep=int(repeat["keep"]),
                    occurrences=tuple(Occurrence(int(a), int(b), "") for a, b in repeat["takes"]),
                )
                for repeat in data["repeats"]
            ),
            flags=tuple(Flag(int(a), int(b), str(reason), "") for a, b, reason in data["flags"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"the tape is damaged: {error!r}") from error


def tape_label(tape: Tape) -> str:
    """Return what the strip shows, for those who do not see it."""
    counts = (
        (len(tape.silences), "silence"),
        (len(tape.repeats), "retake"),
        (len(tape.flags), "flag"),
    )
    found = ", ".join(count_of(count, word) for count, word in counts if count)
    return f"Recording of {to_duration(tape.duration_ms)}: {found or 'nothing to look at'}"


def tape_svg(tape: Tape, *, height: int = 24, title: str | None = None) -> str:
    """Return the strip as one inline SVG, as wide as its place and `height` pixels high.

    `title` is what a screen reader says (escaped here), `tape_label` where it is None. No scripts,
    no style attributes, no references: it is allowed under the strictest content policy.
    """
    label = escape(tape_label(tape) if title is None else title, quote=True)
    marks = min(_MOST_MARKS_PX, max(_LEAST_MARKS_PX, _MARKS_SHARE * height))
    body = max(1.0, height - 2 * marks)
    scale = _WIDTH / max(1, tape.duration_ms)
    spans = [_clip(s.start_ms * scale, s.end_ms * scale) for s in tape.silences]
    stretched = "".join(
        (
            *(_silence_outline(a, b, marks, body) for a, b in spans),
            _wave(tape.peaks, spans, marks, body),
            *(
                _bracket(*_clip(take.start_ms * scale, take.end_ms * scale), marks)
                for repeat in tape.repeats
                for take in repeat.occurrences
            ),
        )
    )
    middles = sorted((f.start_ms + f.end_ms) / 2 * scale for f in tape.flags)
    wedges = "".join(_wedge(x, height, marks) for x in _spread(middles))
    return (
        f'<svg class="tape" xmlns="http://www.w3.org/2000/svg" width="100%" height="{height}"'
        f' role="img" aria-label="{label}">'
        f'<svg width="100%" height="100%" viewBox="0 0 {_WIDTH:g} {height}"'
        f' preserveAspectRatio="none" aria-hidden="true">{stretched}</svg>{wedges}</svg>'
    )


def _wave(
    peaks: Sequence[float], silences: Sequence[tuple[float, float]], top: float, body: float
) -> str:
    """Return the waveform as one filled path, left out where it is silent."""
    if not peaks:
        return ""
    step, middle = _WIDTH / len(peaks), top + body / 2
    half = [max(0.02, min(1.0, peak)) * body / 2 for peak in peaks]
    path = []
    hollow = [any(a <= (i + 0.5) * step < b for a, b in silences) for i in range(len(peaks))]
    for silent, run in groupby(range(len(peaks)), key=hollow.__getitem__):
        if silent:
            continue
        bars = list(run)
        begin, end = _n(bars[0] * step), _n((bars[-1] + 1) * step)
        over = [f"{_n((i + 0.5) * step)} {_n(middle - half[i])}" for i in bars]
        under = [f"{_n((i + 0.5) * step)} {_n(middle + half[i])}" for i in bars[::-1]]
        around = [f"{begin} {_n(middle)}", *over, f"{end} {_n(middle)}", *under]
        path.append(f"M{'L'.join(around)}Z")
    return f'<path class="tape-wave" d="{"".join(path)}"/>' if path else ""


def _silence_outline(start: float, end: float, top: float, body: float) -> str:
    y, height = top + 0.15 * body, 0.7 * body
    return (
        f'<rect class="tape-silence" x="{_n(start)}" y="{_n(y)}"'
        f' width="{_n(end - start)}" height="{_n(height)}"/>'
    )


def _bracket(start: float, end: float, marks: float) -> str:
    top, foot = 1.0, max(2.0, marks - 1)
    return f'<path class="tape-retake" d="M{_n(start)} {_n(foot)}V{_n(top)}H{_n(end)}V{_n(foot)}"/>'


def _wedge(x: float, height: int, marks: float) -> str:
    """Return a triangle that points up at the place; it keeps its shape however wide the strip."""
    tall = marks - 1
    wide = 0.6 * tall
    return (
        f'<svg x="{_n(100 * x / _WIDTH)}%" y="{_n(height - marks + 1)}" width="1" height="1"'
        ' overflow="visible" aria-hidden="true">'
        f'<path class="tape-flag" d="M0 0L{_n(wide)} {_n(tall)}H{_n(-wide)}Z"/></svg>'
    )


def _clip(start: float, end: float) -> tuple[float, float]:
    """Return a span that lies in the strip and is wide enough to be seen."""
    wide = min(_WIDTH, max(_NARROWEST, end - start))
    start = min(max(0.0, start), _WIDTH - wide)
    return start, start + wide


def _spread(sorted_positions: Sequence[float]) -> Iterator[float]:
    """Yield the positions, leaving out those too close to the one before."""
    last = -_WIDTH
    for x in sorted_positions:
        place = min(max(0.0, x), _WIDTH)
        if place - last >= _FLAGS_APART:
            last = place
            yield place


def _at_most(peaks: Sequence[float], n: int) -> list[float]:
    if len(peaks) <= n:
        return list(peaks)
    edges = [i * len(peaks) // n for i in range(n + 1)]
    return [max(peaks[a:b]) for a, b in pairwise(edges)]


def _n(value: float) -> str:
    """Return a number for SVG: at most two decimals, never in exponents."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
