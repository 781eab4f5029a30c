"""Integer milliseconds <-> the ways times are written: SRT, VTT, brackets, seconds, for people.

Hours are never wrapped or limited: 100 hours is `100:00:00,000`. Negative times do not exist in a
recording and raise ValueError everywhere.
"""

from __future__ import annotations

import math
import re

_STAMP = re.compile(r"(?:(\d{1,9}):)?([0-5]?\d):([0-5]\d)[.,](\d{3})", re.ASCII)
_BRACKET = re.compile(r"\[([\d:.,]{9,19}) - ([\d:.,]{9,19})\] ?(.*)", re.ASCII | re.DOTALL)


def _stamp(time_ms: int, separator: str) -> str:
    if time_ms < 0:
        raise ValueError(f"a time cannot be negative, got {time_ms} ms")
    seconds, ms = divmod(time_ms, 1000)
    minutes, s = divmod(seconds, 60)
    h, m = divmod(minutes, 60)
    return f"{h:02}:{m:02}:{s:02}{separator}{ms:03}"


def to_srt_time(time_ms: int) -> str:
    """Return `00:01:02,345`. Raises ValueError for a negative time."""
    return _stamp(time_ms, ",")


def to_vtt_time(time_ms: int) -> str:
    """Return `00:01:02.345`. Raises ValueError for a negative time."""
    return _stamp(time_ms, ".")


def parse_time(text: str) -> int:
    """Return the milliseconds of an SRT or VTT time; VTT may leave the hours out.

    Raises ValueError for anything else.
    """
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a time like 00:01:02,345: {text[:40]!r}")
    h, m, s, ms = (int(part or 0) for part in match.groups())
    return ((h * 60 + m) * 60 + s) * 1000 + ms


def to_bracket(start_ms: int, end_ms: int) -> str:
    """Return `[00:01:02,345 - 00:01:05,000]`. Raises ValueError for a negative time."""
    return f"[{to_srt_time(start_ms)} - {to_srt_time(end_ms)}]"


def parse_bracket(line: str) -> tuple[int, int, str]:
    """Return start and end in milliseconds and the text of `[start - end] text`.

    Raises ValueError for a line in another form.
    """
    match = _BRACKET.fullmatch(line)
    if match is None:
        raise ValueError(f"not a line like [00:01:02,345 - 00:01:05,000] text: {line[:60]!r}")
    return parse_time(match[1]), parse_time(match[2]), match[3]


def to_seconds(time_ms: int) -> float:
    """Return seconds that print with at most three decimals. Raises ValueError if negative."""
    if time_ms < 0:
        raise ValueError(f"a time cannot be negative, got {time_ms} ms")
    return time_ms / 1000


def from_seconds(seconds: float) -> int:
    """Return the nearest millisecond; the exact inverse of `to_seconds`.

    Raises ValueError if `seconds` is negative, infinite or not a number.
    """
    ms = seconds * 1000
    if not math.isfinite(ms) or seconds < 0:
        raise ValueError(f"not a time in seconds: {seconds!r}")
    return round(ms)


def to_clock(time_ms: int) -> str:
    """Return a time for people, to a tenth of a second: `1:02:03.4`, `2:03.4`, `0:03.4`."""
    if time_ms < 0:
        raise ValueError(f"a time cannot be negative, got {time_ms} ms")
    seconds, tenth = divmod((time_ms + 50) // 100, 10)
    minutes, s = divmod(seconds, 60)
    h, m = divmod(minutes, 60)
    return f"{h}:{m:02}:{s:02}.{tenth}" if h else f"{m}:{s:02}.{tenth}"


def to_duration(duration_ms: int) -> str:
    """Return a duration for people, as exact as its size asks for.

    `1.4 s` below ten seconds, `2 min 12 s` below an hour, then `1 h 5 min`. A part that is 0 is
    left out, so two minutes are `2 min`.
    """
    if duration_ms < 0:
        raise ValueError(f"a duration cannot be negative, got {duration_ms} ms")
    tenths = (duration_ms + 50) // 100
    if tenths < 100:
        return f"{tenths / 10:g} s"
    seconds = (duration_ms + 500) // 1000
    if seconds < 3600:
        large, small, units = *divmod(seconds, 60), ("min", "s")
    else:
        large, small, units = *divmod((duration_ms + 30_000) // 60_000, 60), ("h", "min")
    parts = [f"{n} {unit}" for n, unit in zip((large, small), units, strict=True) if n]
    return " ".join(parts)
