"""The review of one recording: put together, as JSON, as text, as one sentence."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from proofreel.core.findings import count_of, list_findings, one_line, ordinal
from proofreel.core.flags import find_flags
from proofreel.core.levels import Levels
from proofreel.core.model import Evidence, Flag, Occurrence, Repeat, Report, Silence, Transcript
from proofreel.core.repeats import find_repeats
from proofreel.core.silence import find_silences
from proofreel.core.timecode import from_seconds, to_clock, to_duration, to_seconds

VERSION = 1

_Item = TypeVar("_Item")


def build_report(
    transcript: Transcript, levels: Levels, silences: Sequence[Silence] | None = None
) -> Report:
    """Return everything an editor should look at.

    `silences` None: found in `levels` with the settings everybody gets.
    """
    found = tuple(find_silences(levels) if silences is None else silences)
    repeats = find_repeats(transcript)
    return Report(
        duration_ms=levels.duration_ms or transcript.duration_ms,
        language=transcript.language,
        silences=found,
        repeats=repeats,
        flags=find_flags(transcript, silences=found, repeats=repeats),
    )


def summary(report: Report) -> dict[str, object]:
    """Return the counts and totals of a report as JSON values; totals are seconds.

    `repeat_total` is the length of the takes that are not kept, `flags_by_reason` counts the flags.
    """
    spare_ms = sum(
        take.end_ms - take.start_ms
        for repeat in report.repeats
        for index, take in enumerate(repeat.occurrences)
        if index != repeat.keep
    )
    return {
        "silences": len(report.silences),
        "silence_total": to_seconds(_silent_ms(report)),
        "repeats": len(report.repeats),
        "repeat_total": to_seconds(spare_ms),
        "flags": len(report.flags),
        "flags_by_reason": dict(sorted(Counter(flag.reason for flag in report.flags).items())),
    }


def headline(report: Report) -> str:
    """Return the report in one sentence, without a full stop.

    "12 min 40 s; 2 min 5 s are silence; 3 retakes, keep the second of each; 7 flags"
    """
    parts = [to_duration(report.duration_ms)]
    if report.duration_ms and _silent_ms(report) >= report.duration_ms:
        parts.append("all of it is silence")
    elif report.silences:
        parts.append(f"{to_duration(_silent_ms(report))} are silence")
    if report.repeats:
        parts.append(f"{count_of(len(report.repeats), 'retake')}{_advice(report.repeats)}")
    if report.flags:
        parts.append(count_of(len(report.flags), "flag"))
    return "; ".join(parts if len(parts) > 1 else [*parts, "nothing to look at"])


def report_to_text(report: Report, name: str) -> str:
    """Return the report for a mail: the summary, then the findings in order of time."""
    lines = [f"Review of {one_line(name) or 'a recording'}", f"{headline(report)}.", ""]
    for finding in list_findings(report):
        quoted = f": “{finding.text}”" if finding.text and not finding.takes else ""
        lines.append(f"{to_clock(finding.start_ms):>9}  {finding.title}{quoted}")
        lines += [
            f"{'':9}  {take.number}. {to_clock(take.start_ms)}  “{take.text}”"
            f"{'  (keep)' if take.keep else ''}"
            for take in finding.takes
        ]
        lines += [f"{'':9}  {finding.why}", ""]
    return "\n".join(lines).rstrip() + "\n"


def report_to_json(report: Report) -> dict[str, object]:
    """Return the report as JSON values, times in seconds."""
    return {
        "version": VERSION,
        "duration": to_seconds(report.duration_ms),
        "language": report.language,
        "summary": summary(report),
        "silences": [
            {
                **_span(silence.start_ms, silence.end_ms),
                "duration": to_seconds(silence.duration_ms),
                "level_dbfs": round(silence.level_dbfs, 1),
            }
            for silence in report.silences
        ],
        "repeats": [
            {
                "kind": repeat.kind,
                "similarity": round(repeat.similarity, 3),
                "keep": repeat.keep,
                "occurrences": [
                    {**_span(take.start_ms, take.end_ms), "text": take.text}
                    for take in repeat.occurrences
                ],
                "evidence": dict(repeat.evidence),
            }
            for repeat in report.repeats
        ],
        "flags": [
            {
                **_span(flag.start_ms, flag.end_ms),
                "reason": flag.reason,
                "text": flag.text,
                "evidence": dict(flag.evidence),
            }
            for flag in report.flags
        ],
    }


def report_from_json(data: object) -> Report:
    """Return the report in `data`, the values of a parsed report file.

    Keys it does not know are ignored. Raises ValueError for another version or form.
    """
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise ValueError(f"not a report of version {VERSION}")
    try:
        return Report(
            duration_ms=from_seconds(data["duration"]),
            language=_text(data["language"]),
            silences=_items(data["silences"], _silence),
            repeats=_items(data["repeats"], _repeat),
            flags=_items(data["flags"], _flag),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the report is damaged: {error!r}") from error


def _silent_ms(report: Report) -> int:
    return sum(silence.duration_ms for silence in report.silences)


def _advice(repeats: Sequence[Repeat]) -> str:
    """Return which take to keep if it can be said in a word for all of them."""
    of_each = "take" if len(repeats) == 1 else "of each"
    keeps = {repeat.keep for repeat in repeats}
    if len(keeps) == 1:
        return f", keep the {ordinal(keeps.pop() + 1)} {of_each}"
    if all(repeat.keep == len(repeat.occurrences) - 1 for repeat in repeats):
        return f", keep the last {of_each}"
    return ""


def _span(start_ms: int, end_ms: int) -> dict[str, float]:
    return {"start": to_seconds(start_ms), "end": to_seconds(end_ms)}


def _items(values: object, make: Callable[[dict[str, Any]], _Item]) -> tuple[_Item, ...]:
    if not isinstance(values, list):
        raise TypeError("a list is missing")
    return tuple(make(value) for value in values)


def _times(value: dict[str, Any]) -> tuple[int, int]:
    start_ms, end_ms = from_seconds(value["start"]), from_seconds(value["end"])
    if end_ms < start_ms:
        raise ValueError("the report is damaged: something ends before it starts")
    return start_ms, end_ms


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is missing")
    return value


def _evidence(value: dict[str, Any]) -> Evidence:
    found = value.get("evidence", {})
    if not all(isinstance(one, str | int | float) for one in found.values()):
        raise TypeError("evidence is texts and numbers")
    return {str(name): one for name, one in found.items()}


def _silence(value: dict[str, Any]) -> Silence:
    level = float(value["level_dbfs"])
    if not math.isfinite(level):
        raise ValueError("the report is damaged: a level is not a number")
    return Silence(*_times(value), level_dbfs=level)


def _repeat(value: dict[str, Any]) -> Repeat:
    takes = _items(value["occurrences"], lambda o: Occurrence(*_times(o), text=_text(o["text"])))
    keep = value["keep"]
    if not isinstance(keep, int) or not 0 <= keep < len(takes):
        raise ValueError("the report is damaged: the take to keep is not there")
    kind, similarity = _text(value["kind"]), float(value["similarity"])
    return Repeat(kind, similarity, keep, takes, _evidence(value))


def _flag(value: dict[str, Any]) -> Flag:
    return Flag(*_times(value), _text(value["reason"]), _text(value["text"]), _evidence(value))
