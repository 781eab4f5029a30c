"""Transcript <-> the JSON of `lecture_transcript.json`, which Whisper's ecosystem reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from proofreel.core.model import Segment, Transcript, Word
from proofreel.core.timecode import from_seconds, to_seconds

VERSION = 1
_DECIMALS = 4  # of probabilities and the like; Whisper is not exact to more
_LARGEST = 1e12  # no figure in a transcript comes near; also stops infinities

_Item = TypeVar("_Item")


def transcript_to_json(transcript: Transcript) -> dict[str, object]:
    """Return `transcript` as JSON values: times in seconds, figures rounded to four decimals."""
    return {
        "version": VERSION,
        "text": transcript.text,
        "language": transcript.language,
        "duration": to_seconds(transcript.duration_ms),
        "model": transcript.model,
        "segments": [_segment_to_json(segment) for segment in transcript.segments],
    }


def transcript_from_json(data: object) -> Transcript:
    """Return the transcript in `data`, the values of a parsed transcript file.

    Keys it does not know are ignored; so is "text", which the segments give. Raises ValueError that
    names the place and what is wrong with it.
    """
    top = _Place(data, "transcript")
    if (version := top.integer("version")) != VERSION:
        raise ValueError(f"transcript.version must be {VERSION}, not {version}")
    return Transcript(
        language=top.text("language"),
        duration_ms=top.time_ms("duration"),
        model=top.text("model"),
        segments=top.items("segments", _segment_from_json),
    )


def _segment_to_json(segment: Segment) -> dict[str, object]:
    return {
        "id": segment.id,
        "start": to_seconds(segment.start_ms),
        "end": to_seconds(segment.end_ms),
        "text": segment.text,
        "avg_logprob": round(segment.avg_logprob, _DECIMALS),
        "compression_ratio": round(segment.compression_ratio, _DECIMALS),
        "no_speech_prob": round(segment.no_speech_prob, _DECIMALS),
        "words": [
            {
                "start": to_seconds(word.start_ms),
                "end": to_seconds(word.end_ms),
                "word": word.text,
                "probability": round(word.probability, _DECIMALS),
            }
            for word in segment.words
        ],
    }


def _segment_from_json(place: _Place) -> Segment:
    return Segment(
        id=place.integer("id"),
        start_ms=place.time_ms("start"),
        end_ms=place.time_ms("end"),
        text=place.text("text"),
        avg_logprob=place.number("avg_logprob"),
        compression_ratio=place.number("compression_ratio"),
        no_speech_prob=place.number("no_speech_prob"),
        words=place.items("words", _word_from_json),
    )


def _word_from_json(place: _Place) -> Word:
    return Word(
        start_ms=place.time_ms("start"),
        end_ms=place.time_ms("end"),
        text=place.text("word"),
        probability=place.number("probability"),
    )


class _Place:
    """A JSON object and the path to it, so that every complaint says where."""

    def __init__(self, data: object, path: str) -> None:
        if not isinstance(data, dict):
            raise ValueError(f"{path} must be an object, not {_kind(data)}")
        self._data, self._path = data, path

    def text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str):
            raise ValueError(f"{self._path}.{key} must be text, not {_kind(value)}")
        return value

    def integer(self, key: str) -> int:
        value = self._value(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{self._path}.{key} must be a whole number, not {_kind(value)}")
        return value

    def number(self, key: str) -> float:
        value = self._value(key)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"{self._path}.{key} must be a number, not {_kind(value)}")
        if not abs(value) < _LARGEST:
            raise ValueError(f"{self._path}.{key} must be a finite number, not {value!r:.20}")
        return float(value)

    def time_ms(self, key: str) -> int:
        seconds = self.number(key)
        if seconds < 0:
            raise ValueError(f"{self._path}.{key} must not be negative, but is {seconds!r}")
        return from_seconds(seconds)

    def items(self, key: str, read: Callable[[_Place], _Item]) -> tuple[_Item, ...]:
        value = self._value(key)
        if not isinstance(value, list):
            raise ValueError(f"{self._path}.{key} must be a list, not {_kind(value)}")
        return tuple(read(_Place(item, f"{self._path}.{key}[{n}]")) for n, item in enumerate(value))

    def _value(self, key: str) -> object:
        if key not in self._data:
            raise ValueError(f"{self._path} has no {key!r}")
        value: object = self._data[key]
        return value


def _kind(value: object) -> str:
    """Return what JSON calls the type of `value`."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number"}
    return "null" if value is None else names.get(type(value), "a number")
