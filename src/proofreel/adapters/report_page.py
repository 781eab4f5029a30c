"""The review as one HTML page that needs no server: opened from a mail, printed, kept.

The only user of Jinja for it. Everything from the recording is escaped; the page loads nothing and
runs nothing, and tells the browser so in a content policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from proofreel.core.findings import list_findings, one_line
from proofreel.core.model import Interval, Report, Transcript
from proofreel.core.report import headline
from proofreel.core.sentences import Placed, place_words, split_sentences
from proofreel.core.tape import Tape, tape_label, tape_svg
from proofreel.core.timecode import to_clock

_TAPE_PX = 96
_RULER_PARTS = 4
_PARAGRAPH_PAUSE_MS = 2000
_PARAGRAPH_MS = 45_000  # what fits a glance; a time stands beside each paragraph


@dataclass(frozen=True, slots=True)
class _Run:
    """Some words of the transcript; `mark` is "", "flag" or "spare" (a take that is not kept)."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True)
class _Paragraph:
    start_ms: int
    runs: tuple[_Run, ...]


def render_report_page(report: Report, transcript: Transcript, tape: Tape, name: str) -> str:
    """Return the page; `name` is the recording's name, shown without control characters."""
    svg = tape_svg(tape, height=_TAPE_PX, title=tape_label(tape))
    return _template().render(
        name=one_line(name) or "Recording",
        headline=headline(report),
        language=report.language if report.language.isalpha() else "",
        tape=Markup(svg),  # noqa: S704  # made of numbers; its label is escaped where it is drawn
        ruler=[report.duration_ms * i // _RULER_PARTS for i in range(_RULER_PARTS + 1)],
        findings=list_findings(report),
        paragraphs=tuple(_paragraphs(report, transcript)),
        clock=to_clock,
        ruler_clock=lambda ms: to_clock(ms // 1000 * 1000)[:-2],
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("proofreel", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _paragraphs(report: Report, transcript: Transcript) -> Iterator[_Paragraph]:
    text, placed = place_words(transcript)
    flags = [Interval(flag.start_ms, flag.end_ms) for flag in report.flags]
    spare = [
        Interval(take.start_ms, take.end_ms)
        for repeat in report.repeats
        for index, take in enumerate(repeat.occurrences)
        if index != repeat.keep
    ]
    marks = _marks(placed, spare, flags)
    begin = end = 0
    start_ms = end_ms = 0
    for sentence in split_sentences(transcript):
        pause_ms = sentence.start_ms - end_ms
        full = sentence.end_ms - start_ms > _PARAGRAPH_MS
        if end > begin and (pause_ms >= _PARAGRAPH_PAUSE_MS or full):
            yield _Paragraph(start_ms, _runs(text, placed[begin:end], marks[begin:end]))
            begin = end
        if end == begin:
            start_ms = sentence.start_ms
        end += len(sentence.words)
        end_ms = sentence.end_ms
    if end > begin:
        yield _Paragraph(start_ms, _runs(text, placed[begin:end], marks[begin:end]))


def _marks(
    placed: Sequence[Placed], spare: Sequence[Interval], flags: Sequence[Interval]
) -> list[str]:
    """Return the mark of every word. The words are in order of time, or nearly."""
    marks = [""] * len(placed)
    for mark, spans in (("spare", spare), ("flag", flags)):
        ordered = sorted(spans, key=lambda span: span.start_ms)
        first = 0
        for index, item in enumerate(placed):
            middle_ms = (item.word.start_ms + item.word.end_ms) / 2
            while first < len(ordered) and ordered[first].end_ms < middle_ms:
                first += 1
            near = ordered[first : first + 3]
            if any(span.start_ms <= middle_ms <= span.end_ms for span in near):
                marks[index] = mark
    return marks


def _runs(text: str, words: Sequence[Placed], marks: Sequence[str]) -> tuple[_Run, ...]:
    runs = []
    spots = list(zip(words, marks, strict=True))
    position = words[0].begin
    for mark, group in groupby(spots, key=lambda spot: spot[1]):
        inside = [item for item, _ in group]
        if inside[0].begin > position:
            runs.append(_Run(text[position : inside[0].begin], ""))
        runs.append(_Run(text[inside[0].begin : inside[-1].end], mark))
        position = inside[-1].end
    return tuple(runs)
