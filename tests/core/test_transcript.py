from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofreel.core.model import Segment, Transcript, Word
from proofreel.core.transcript import transcript_from_json, transcript_to_json

TRANSCRIPT = Transcript(
    language="en",
    duration_ms=7_005,
    model="base",
    segments=(
        Segment(
            id=1,
            start_ms=62,
            end_ms=1_900,
            text="Hello there.",
            avg_logprob=-0.2345,
            compression_ratio=1.25,
            no_speech_prob=0.0123,
            words=(Word(62, 800, "Hello", 0.987), Word(800, 1_900, "there.", 0.5)),
        ),
    ),
)

times_ms = st.integers(0, 360_000_000)
figures = st.floats(-100, 100).map(lambda figure: round(figure, 4))
words = st.builds(Word, times_ms, times_ms, st.text(), figures)
segments = st.builds(
    Segment,
    id=st.integers(0),
    start_ms=times_ms,
    end_ms=times_ms,
    text=st.text(),
    avg_logprob=figures,
    compression_ratio=figures,
    no_speech_prob=figures,
    words=st.lists(words, max_size=4).map(tuple),
)
transcripts = st.builds(
    Transcript, st.text(), times_ms, st.text(), st.lists(segments, max_size=4).map(tuple)
)


def test_the_json_has_the_keys_and_seconds_of_the_contract() -> None:
    assert transcript_to_json(TRANSCRIPT) == {
        "version": 1,
        "text": "Hello there.",
        "language": "en",
        "duration": 7.005,
        "model": "base",
        "segments": [
            {
                "id": 1,
                "start": 0.062,
                "end": 1.9,
                "text": "Hello there.",
                "avg_logprob": -0.2345,
                "compression_ratio": 1.25,
                "no_speech_prob": 0.0123,
                "words": [
                    {"start": 0.062, "end": 0.8, "word": "Hello", "probability": 0.987},
                    {"start": 0.8, "end": 1.9, "word": "there.", "probability": 0.5},
                ],
            }
        ],
    }


@settings(max_examples=100, deadline=None, derandomize=True)
@given(transcripts)
def test_any_transcript_comes_back_exactly_through_json_text(transcript: Transcript) -> None:
    text = json.dumps(transcript_to_json(transcript))

    assert transcript_from_json(json.loads(text)) == transcript


def test_figures_are_written_with_four_decimals() -> None:
    segment = Segment(0, 0, 1, "x", -1 / 3, 2 / 3, 1e-9, (Word(0, 1, "x", 0.123456),))
    data: Any = transcript_to_json(Transcript("en", 1, "base", (segment,)))

    written = data["segments"][0]
    assert (written["avg_logprob"], written["compression_ratio"]) == (-0.3333, 0.6667)
    assert (written["no_speech_prob"], written["words"][0]["probability"]) == (0.0, 0.1235)


def test_keys_of_later_versions_are_ignored() -> None:
    data: Any = transcript_to_json(TRANSCRIPT)
    data["speaker"] = "?"
    data["segments"][0]["words"][0]["speaker"] = 1
    del data["text"]

    assert transcript_from_json(data) == TRANSCRIPT


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ((), None, "transcript must be an object, not null"),
        ((), [], "transcript must be an object, not a list"),
        (("version",), 2, "transcript.version must be 1, not 2"),
        (("version",), True, "transcript.version must be a whole number, not a truth value"),
        (("language",), None, "transcript.language must be text, not null"),
        (("duration",), -1, "transcript.duration must not be negative, but is -1"),
        (("duration",), 10**400, "transcript.duration must be a finite number"),
        (("segments",), {}, "transcript.segments must be a list, not an object"),
        (("segments", 0), "x", r"transcript.segments\[0\] must be an object, not text"),
        (("segments", 0, "id"), 0.5, r"segments\[0\].id must be a whole number, not a number"),
        (("segments", 0, "start"), "0", r"segments\[0\].start must be a number, not text"),
        (("segments", 0, "end"), float("nan"), r"segments\[0\].end must be a finite number"),
        (("segments", 0, "words"), None, r"segments\[0\].words must be a list, not null"),
        (("segments", 0, "words", 1, "word"), 7, r"words\[1\].word must be text, not a number"),
    ],
)
def test_malformed_data_is_refused_with_place_and_reason(
    path: tuple[str | int, ...], value: object, complaint: str
) -> None:
    data: Any = copy.deepcopy(transcript_to_json(TRANSCRIPT))
    if path:
        place = data
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
    else:
        data = value

    with pytest.raises(ValueError, match=complaint):
        transcript_from_json(data)


@pytest.mark.parametrize("key", ["version", "language", "duration", "model", "segments"])
def test_a_missing_key_is_named(key: str) -> None:
    data = transcript_to_json(TRANSCRIPT)
    del data[key]

    with pytest.raises(ValueError, match=f"transcript has no '{key}'"):
        transcript_from_json(data)
