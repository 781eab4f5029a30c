from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofreel.core.levels import measure_levels
from proofreel.core.model import Flag, Occurrence, Repeat, Report, Silence, Transcript
from proofreel.core.report import (
    build_report,
    headline,
    report_from_json,
    report_to_json,
    report_to_text,
    summary,
)
from tests.speech_samples import RATE_HZ, pause, tone
from tests.transcripts import transcript

TAKES = (Occurrence(5000, 7000, "Take one."), Occurrence(8000, 10_500, "Take one, whole."))
RETAKE = Repeat("false_start", 0.9, 1, TAKES, {"takes": 2, "pause_s": 1.0, "keep_reason": "why"})
REPORT = Report(
    duration_ms=760_000,
    language="en",
    silences=(Silence(20_000, 145_000, -64.6),),
    repeats=(RETAKE,),
    flags=(
        Flag(100, 400, "filler", "um", {"words": 1, "probability": 0.25}),
        Flag(900, 1400, "filler", "uh", {"words": 1, "probability": 0.5}),
        Flag(11_000, 11_345, "low_confidence", "tea", {"words": 1, "lowest_probability": 0.3}),
    ),
)
EMPTY = Report(62_000, "en", (), (), ())


def test_a_report_is_built_from_what_is_said_and_how_loud_it_is() -> None:
    line = "Record ten seconds of silence first."
    made = transcript("Um, hello.", 0.4, line, 0.6, line, 4.0)
    loud = tone(made.segments[-1].end_ms / 1000)
    levels = measure_levels(np.concatenate((loud, pause(4))))

    report = build_report(made, levels)

    assert report.duration_ms == made.duration_ms == levels.duration_ms
    assert report.language == "en"
    assert [silence.end_ms for silence in report.silences] == [report.duration_ms]
    assert [repeat.kind for repeat in report.repeats] == ["full"]
    assert [flag.reason for flag in report.flags] == ["filler"]


def test_silences_found_before_are_taken_as_they_are() -> None:
    silence = Silence(0, 1000, -50.0)

    report = build_report(Transcript("", 1000, "base"), measure_levels(pause(1)), [silence])

    assert report.silences == (silence,)


def test_the_json_is_what_the_contract_says() -> None:
    data = report_to_json(REPORT)

    assert list(data) == [
        "version",
        "duration",
        "language",
        "summary",
        "silences",
        "repeats",
        "flags",
    ]
    assert (data["version"], data["duration"], data["language"]) == (1, 760.0, "en")
    assert data["silences"] == [
        {"start": 20.0, "end": 145.0, "duration": 125.0, "level_dbfs": -64.6}
    ]
    assert data["repeats"] == [
        {
            "kind": "false_start",
            "similarity": 0.9,
            "keep": 1,
            "occurrences": [
                {"start": 5.0, "end": 7.0, "text": "Take one."},
                {"start": 8.0, "end": 10.5, "text": "Take one, whole."},
            ],
            "evidence": {"takes": 2, "pause_s": 1.0, "keep_reason": "why"},
        }
    ]
    flags: Any = data["flags"]
    assert flags[2] == {
        "start": 11.0,
        "end": 11.345,
        "reason": "low_confidence",
        "text": "tea",
        "evidence": {"words": 1, "lowest_probability": 0.3},
    }


def test_a_report_survives_json() -> None:
    assert report_from_json(json.loads(json.dumps(report_to_json(REPORT)))) == REPORT


@given(st.integers(0, 360_000_000), st.integers(0, 100_000))
def test_every_millisecond_survives_json(start_ms: int, length_ms: int) -> None:
    flag = Flag(start_ms, start_ms + length_ms, "filler", "um")
    report = Report(start_ms, "en", (), (), (flag,))

    assert report_from_json(json.loads(json.dumps(report_to_json(report)))) == report


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"duration": -1},
        {"duration": math.nan},
        {"language": None},
        {"silences": {}},
        {"silences": [{"start": 3, "end": 2, "level_dbfs": 0}]},
        {"silences": [{"start": 1, "end": 2, "level_dbfs": math.inf}]},
        {"flags": [{"start": 1, "end": 2, "reason": "filler"}]},
        {"flags": [7]},
        {"flags": [{"start": 1, "end": 2, "reason": "x", "text": "", "evidence": {"a": []}}]},
        {"repeats": [{"kind": "full", "similarity": 1, "keep": 2, "occurrences": []}]},
    ],
)
def test_a_damaged_report_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"report|time"):
        report_from_json({**report_to_json(REPORT), **damage})


@pytest.mark.parametrize("data", [None, [], "text", {}])
def test_what_is_no_report_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="not a report of version 1"):
        report_from_json(data)


def test_the_summary_counts_and_adds_up() -> None:
    assert summary(REPORT) == {
        "silences": 1,
        "silence_total": 125.0,
        "repeats": 1,
        "repeat_total": 2.0,
        "flags": 3,
        "flags_by_reason": {"filler": 2, "low_confidence": 1},
    }


def test_the_headline_is_one_sentence() -> None:
    assert headline(REPORT) == (
        "12 min 40 s; 2 min 5 s are silence; 1 retake, keep the second take; 3 flags"
    )


def test_the_headline_says_which_takes_to_keep_if_it_is_the_same_for_all() -> None:
    third = Repeat("multiple", 1.0, 2, (*TAKES, Occurrence(11_000, 12_000, "Take one.")))
    first = Repeat("full", 1.0, 0, TAKES)

    def said(*repeats: Repeat) -> str:
        return headline(Report(60_000, "en", (), repeats, ()))

    assert said(RETAKE, RETAKE) == "1 min; 2 retakes, keep the second of each"
    assert said(RETAKE, third) == "1 min; 2 retakes, keep the last of each"
    assert said(first, third) == "1 min; 2 retakes"


def test_a_recording_without_findings_says_so() -> None:
    assert headline(EMPTY) == "1 min 2 s; nothing to look at"


def test_a_silent_recording_says_so() -> None:
    silent = Report(7000, "", (Silence(0, 7000, -120.0),), (), ())

    assert headline(silent) == "7 s; all of it is silence"


def test_the_text_gives_the_summary_then_the_findings_in_order_of_time() -> None:
    lines = report_to_text(REPORT, "lecture.mp4").splitlines()

    assert lines[0] == "Review of lecture.mp4"
    assert lines[1] == f"{headline(REPORT)}."
    assert lines[3] == "   0:00.1  Filler: “um”"
    assert "           2. 0:08.0  “Take one, whole.”  (keep)" in lines
    assert lines.index("   0:05.0  False start") < lines.index("   0:20.0  Silence, 2 min 5 s")
    assert max(map(len, lines)) < 100


def test_the_text_of_an_empty_report_is_short() -> None:
    assert report_to_text(EMPTY, "a.mp3") == ("Review of a.mp3\n1 min 2 s; nothing to look at.\n")


def test_a_hostile_name_cannot_add_lines_to_the_text() -> None:
    text = report_to_text(EMPTY, "a.mp3\r\nBcc: someone\x1b[2J")

    assert text.splitlines()[0] == "Review of a.mp3 Bcc: someone[2J"
    assert report_to_text(EMPTY, "\n").startswith("Review of a recording\n")


def test_the_levels_decide_how_long_the_recording_is() -> None:
    report = build_report(Transcript("", 999, "base"), measure_levels(tone(2)))

    assert report.duration_ms == 2000
    assert RATE_HZ == 16_000
