from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofreel.core.timecode import (
    from_seconds,
    parse_bracket,
    parse_time,
    to_bracket,
    to_clock,
    to_duration,
    to_seconds,
    to_srt_time,
    to_vtt_time,
)

HUNDRED_HOURS_MS = 360_000_000
times_ms = st.integers(0, HUNDRED_HOURS_MS)
bounded = settings(max_examples=200, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("time_ms", "srt", "vtt"),
    [
        (0, "00:00:00,000", "00:00:00.000"),
        (62_345, "00:01:02,345", "00:01:02.345"),
        (3_599_999, "00:59:59,999", "00:59:59.999"),
        (HUNDRED_HOURS_MS, "100:00:00,000", "100:00:00.000"),
        (1234 * 3_600_000 + 1, "1234:00:00,001", "1234:00:00.001"),
    ],
)
def test_srt_has_a_comma_vtt_a_point_and_hours_never_wrap(time_ms: int, srt: str, vtt: str) -> None:
    assert to_srt_time(time_ms) == srt
    assert to_vtt_time(time_ms) == vtt


@bounded
@given(times_ms)
def test_every_millisecond_comes_back_from_srt_and_vtt(time_ms: int) -> None:
    assert parse_time(to_srt_time(time_ms)) == time_ms
    assert parse_time(to_vtt_time(time_ms)) == time_ms


def test_vtt_may_leave_the_hours_out() -> None:
    assert parse_time("01:02.345") == 62_345


@pytest.mark.parametrize(
    "text",
    ["", "1:2:3", "00:01:02", "00:61:00,000", "00:00:60,000", "-0:00:01,000", "٠٠:٠١:٠٢,٣٤٥"],
)
def test_what_is_not_a_time_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="not a time like 00:01:02,345"):
        parse_time(text)


def test_the_bracket_form_is_that_of_the_transcription_file() -> None:
    line = to_bracket(62_345, 65_000) + " Hello."

    assert line == "[00:01:02,345 - 00:01:05,000] Hello."
    assert parse_bracket(line) == (62_345, 65_000, "Hello.")


@bounded
@given(times_ms, times_ms, st.text().map(str.strip))
def test_bracketed_lines_come_back_whatever_their_text(start: int, end: int, text: str) -> None:
    assert parse_bracket(f"{to_bracket(start, end)} {text}") == (start, end, text)


def test_a_line_without_brackets_is_refused() -> None:
    with pytest.raises(ValueError, match="not a line like"):
        parse_bracket("00:01:02,345 --> 00:01:05,000")


def test_every_millisecond_of_a_minute_deep_into_a_recording_survives_json() -> None:
    start_ms = 99 * 3_600_000
    for time_ms in range(start_ms, start_ms + 60_000):
        text = json.dumps(to_seconds(time_ms))
        assert len(text.partition(".")[2]) <= 3
        assert from_seconds(json.loads(text)) == time_ms


@bounded
@given(times_ms)
def test_seconds_are_the_exact_inverse_up_to_a_hundred_hours(time_ms: int) -> None:
    assert from_seconds(to_seconds(time_ms)) == time_ms


@pytest.mark.parametrize("seconds", [-0.001, float("nan"), float("inf"), -float("inf"), 1e308])
def test_seconds_that_are_no_time_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="not a time in seconds"):
        from_seconds(seconds)


@pytest.mark.parametrize("write", [to_srt_time, to_vtt_time, to_seconds, to_clock, to_duration])
def test_a_negative_time_is_refused_everywhere(write: object) -> None:
    assert callable(write)
    with pytest.raises(ValueError, match="cannot be negative"):
        write(-1)


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "0:00.0"),
        (3_400, "0:03.4"),
        (123_449, "2:03.4"),
        (123_450, "2:03.5"),
        (59_960, "1:00.0"),
        (3_599_950, "1:00:00.0"),
        (3_723_400, "1:02:03.4"),
        (HUNDRED_HOURS_MS, "100:00:00.0"),
    ],
)
def test_times_for_people_are_rounded_to_a_tenth(time_ms: int, text: str) -> None:
    assert to_clock(time_ms) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (0, "0 s"),
        (1_449, "1.4 s"),
        (2_000, "2 s"),
        (9_949, "9.9 s"),
        (9_960, "10 s"),
        (59_499, "59 s"),
        (59_500, "1 min"),
        (132_000, "2 min 12 s"),
        (3_599_500, "1 h"),
        (3_900_000, "1 h 5 min"),
        (7_199_999, "2 h"),
        (HUNDRED_HOURS_MS, "100 h"),
    ],
)
def test_durations_for_people_are_as_exact_as_their_size_asks_for(
    duration_ms: int, text: str
) -> None:
    assert to_duration(duration_ms) == text
