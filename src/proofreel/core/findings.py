"""A report as a list of findings in plain words, in order of time: what text and page print."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from proofreel.core.model import Evidence, Flag, Repeat, Report, Silence
from proofreel.core.timecode import to_duration

FLAG_WORDS: Mapping[str, str] = {
    "filler": "Filler",
    "correction": "Correction",
    "low_confidence": "Doubtful words",
    "no_speech": "Text without speech",
    "long_word": "Stretched word",
    "loop": "Text in a loop",
}
REPEAT_WORDS: Mapping[str, str] = {
    "full": "Retake",
    "false_start": "False start",
    "multiple": "Retake",
    "distant": "Said again later",
}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


@dataclass(frozen=True, slots=True)
class TakeLine:
    """One take of a repeat; `number` counts from 1."""

    number: int
    start_ms: int
    end_ms: int
    text: str
    keep: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `mark` is its shape: "silence", "retake" or "flag"."""

    mark: str
    start_ms: int
    end_ms: int
    title: str
    text: str
    why: str
    takes: tuple[TakeLine, ...] = ()


def list_findings(report: Report) -> tuple[Finding, ...]:
    """Return everything in the report, in order of time, each with one line of evidence."""
    found = [
        *map(_silence, report.silences),
        *map(_repeat, report.repeats),
        *map(_flag, report.flags),
    ]
    return tuple(sorted(found, key=lambda one: (one.start_ms, one.end_ms, one.title)))


def flag_words(reason: str) -> str:
    """Return what people call the reason of a flag."""
    return FLAG_WORDS.get(reason, reason.replace("_", " ").capitalize())


def ordinal(number: int) -> str:
    """Return "first" for 1, "second" for 2, "10th" for 10."""
    return _ORDINALS[number - 1] if number <= len(_ORDINALS) else f"{number}th"


def count_of(count: int, one: str) -> str:
    """Return "1 flag", "7 flags"."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def one_line(text: str) -> str:
    """Return text from outside on one line: no line breaks, control or direction characters."""
    plain = " ".join(text.split())
    return "".join(sign for sign in plain if unicodedata.category(sign) not in ("Cc", "Cf", "Cs"))


def _silence(silence: Silence) -> Finding:
    title = f"Silence, {to_duration(silence.duration_ms)}"
    why = f"Nothing but the room, at {_level(silence.level_dbfs)}."
    return Finding("silence", silence.start_ms, silence.end_ms, title, "", why)


def _repeat(repeat: Repeat) -> Finding:
    takes = tuple(
        TakeLine(i + 1, o.start_ms, o.end_ms, one_line(o.text), i == repeat.keep)
        for i, o in enumerate(repeat.occurrences)
    )
    title = REPEAT_WORDS.get(repeat.kind, "Repeat")
    if len(takes) > 2:
        title += f", {count_of(len(takes), 'take')}"
    measured = [f"{repeat.similarity * 100:.0f} % alike"]
    if pause_s := _number(repeat.evidence, "pause_s"):
        measured.append(f"{_seconds(pause_s)} between the first two")
    keep = f"Keep the {ordinal(repeat.keep + 1)}"
    if reason := repeat.evidence.get("keep_reason"):
        keep += f": {reason}"
    why = f"{', '.join(measured)}. {keep}."
    return Finding(
        mark="retake",
        start_ms=min(take.start_ms for take in takes),
        end_ms=max(take.end_ms for take in takes),
        title=title,
        text=takes[repeat.keep].text,
        why=why,
        takes=takes,
    )


def _flag(flag: Flag) -> Finding:
    title, why = flag_words(flag.reason), _why(flag)
    return Finding("flag", flag.start_ms, flag.end_ms, title, one_line(flag.text), why)


def _why(flag: Flag) -> str:
    """Return the evidence of a flag as a sentence."""
    evidence = flag.evidence
    words = int(_number(evidence, "words") or 0)
    match flag.reason:
        case "filler" if (sure := _number(evidence, "probability")) is not None:
            return f"A sound, not a word; recognised with {sure * 100:.0f} % certainty."
        case "filler":
            return "Set off by commas; the sentence stands without it."
        case "low_confidence" if (lowest := _number(evidence, "lowest_probability")) is not None:
            lead = "The recogniser was only" if words == 1 else f"{words} words, the least sure one"
            return f"{lead} {lowest * 100:.0f} % certain."
        case "long_word" if (lasts_s := _number(evidence, "duration_s")) is not None:
            return f"One word of {_seconds(lasts_s)}: a pause or another take may hide in it."
        case "no_speech" if (level := _number(evidence, "level_dbfs")) is not None:
            return f"There is text, but the recording is silent here ({_level(level)})."
        case "no_speech" if (chance := _number(evidence, "no_speech_prob")) is not None:
            return f"There is text; to the recogniser it is {chance * 100:.0f} % no speech at all."
        case "no_speech" if (lasts_s := _number(evidence, "duration_s")) is not None:
            return f"{count_of(words, 'word')} in {_seconds(lasts_s)}: nobody speaks that fast."
        case "loop" if (times := _number(evidence, "times")) is not None:
            return f"The same sentence {times:.0f} times in a row: the recogniser got stuck."
        case "loop" if (ratio := _number(evidence, "compression_ratio")) is not None:
            return f"The text repeats itself (compression {ratio:.1f}; speech stays below 2.4)."
        case "correction" if phrase := evidence.get("phrase"):
            return f"The speaker takes something back: “{one_line(str(phrase))}”."
        case "correction" if (same := _number(evidence, "same_words")) is not None:
            return f"Left unfinished; the next sentence begins with the same {same:.0f} words."
        case "correction":
            return "The same words twice in a row."
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in evidence.items())


def _number(evidence: Evidence, name: str) -> float | None:
    value = evidence.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _level(dbfs: float) -> str:
    return f"{dbfs:.0f} dBFS".replace("-", "−")


def _seconds(seconds: float) -> str:
    return to_duration(round(max(0.0, seconds) * 1000))
