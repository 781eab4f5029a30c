from __future__ import annotations

import pytest

from proofreel.core.findings import count_of, flag_words, list_findings, one_line, ordinal
from proofreel.core.model import Evidence, Flag, Occurrence, Repeat, Report, Silence


def why(reason: str, evidence: Evidence) -> str:
    report = Report(9000, "en", (), (), (Flag(0, 500, reason, "text", evidence),))
    return list_findings(report)[0].why


def test_findings_of_every_kind_come_in_order_of_time() -> None:
    takes = (Occurrence(5000, 6000, "Take one."), Occurrence(7000, 8000, "Take one, again."))
    report = Report(
        duration_ms=60_000,
        language="en",
        silences=(Silence(9000, 12_000, -64.6),),
        repeats=(Repeat("full", 0.914, 1, takes, {"pause_s": 1.0, "keep_reason": "it is last"}),),
        flags=(Flag(100, 400, "filler", "um", {"words": 1, "probability": 0.25}),),
    )

    filler, retake, silence = list_findings(report)

    assert (filler.mark, filler.title, filler.text) == ("flag", "Filler", "um")
    assert (retake.mark, retake.start_ms, retake.end_ms) == ("retake", 5000, 8000)
    assert retake.why == "91 % alike, 1 s between the first two. Keep the second: it is last."
    assert [(take.number, take.keep) for take in retake.takes] == [(1, False), (2, True)]
    assert (silence.title, silence.why) == ("Silence, 3 s", "Nothing but the room, at −65 dBFS.")


@pytest.mark.parametrize(
    ("reason", "evidence", "said"),
    [
        ("filler", {"words": 1, "probability": 0.5}, "50 % certainty"),
        ("filler", {"words": 2, "set_off_by_commas": True}, "Set off by commas"),
        ("low_confidence", {"words": 1, "lowest_probability": 0.31}, "only 31 % certain"),
        ("low_confidence", {"words": 3, "lowest_probability": 0.1}, "3 words, the least sure one"),
        ("long_word", {"duration_s": 3.08}, "One word of 3.1 s"),
        ("no_speech", {"level_dbfs": -64.0}, "silent here (−64 dBFS)"),
        ("no_speech", {"no_speech_prob": 0.9}, "90 % no speech"),
        ("no_speech", {"words": 4, "duration_s": 0.1}, "4 words in 0.1 s"),
        ("loop", {"compression_ratio": 3.12}, "compression 3.1"),
        ("loop", {"times": 12}, "12 times in a row"),
        ("correction", {"phrase": "I mean"}, "“I mean”"),
        ("correction", {"same_words": 3}, "same 3 words"),
        ("correction", {"repeated_words": 2}, "twice in a row"),
        ("clipping", {"peak_dbfs": 0.0}, "peak dbfs 0.0"),
    ],
)
def test_the_evidence_of_a_flag_is_a_sentence(reason: str, evidence: Evidence, said: str) -> None:
    assert said in why(reason, evidence)


def test_a_reason_nobody_knows_yet_still_has_words() -> None:
    assert flag_words("room_echo") == "Room echo"


def test_counts_and_ordinals_are_words() -> None:
    assert (count_of(1, "flag"), count_of(0, "flag"), count_of(7, "flag")) == (
        "1 flag",
        "0 flags",
        "7 flags",
    )
    assert (ordinal(1), ordinal(3), ordinal(10)) == ("first", "third", "10th")


def test_text_from_outside_stays_on_one_line_and_cannot_turn_the_text_around() -> None:
    assert one_line(" a\r\nb\tc\u202e\x00d\u2028e ") == "a b cd e"
