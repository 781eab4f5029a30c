"""Figures and states in words, as the pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from proofreel.core.findings import one_line
from proofreel.core.jobs import STAGES, Job
from proofreel.core.names import FALLBACK_STEM

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_TAIL_CHARACTERS = 12  # how much of a name's end stays when its middle is cut
# Below these the speed so far says little: starting up counts for more than the work.
_ETA_FROM_PERCENT, _ETA_FROM_MS = 6, 5_000

# What each stage is called while it runs, and in the list of stages.
STAGE_WORDS: dict[str, tuple[str, str]] = {
    "probe": ("Looking at the file", "Look at the file"),
    "extract": ("Taking out the sound", "Take out the sound"),
    "transcribe": ("Transcribing", "Transcribe"),
    "silence": ("Finding silences", "Find silences"),
    "subtitles": ("Writing subtitles", "Write subtitles"),
    "report": ("Writing the report", "Find retakes and write the report"),
    "scale": ("Making a smaller copy", "Make a smaller copy, where the file is too large"),
    "publish": ("Putting the files in place", "Put the files in place"),
}
STATUS_WORDS: dict[str, str] = {
    "queued": "Waiting",
    "processing": "At work",
    "completed": "Ready",
    "failed": "Failed",
    "cancelled": "Stopped",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: `iso` for machines, `relative` to read, `exact` on hover, both in UTC."""

    iso: str
    relative: str
    exact: str


def moment(at_ms: int, now_ms: int) -> Moment:
    """Return epoch milliseconds `at_ms` as seen at `now_ms`. The page's script turns UTC local."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    date = f"{at.day} {at:%B %Y}"
    return Moment(
        iso=at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        relative=_relative(now_ms - at_ms, date),
        exact=f"{date} at {at:%H:%M} UTC",
    )


def _relative(age_ms: int, date: str) -> str:
    if age_ms < _MINUTE_MS:
        return "just now"
    if age_ms < _HOUR_MS:
        return f"{age_ms // _MINUTE_MS} min ago"
    if age_ms < _DAY_MS:
        return f"{age_ms // _HOUR_MS} h ago"
    if age_ms < 2 * _DAY_MS:
        return "yesterday"
    return f"{age_ms // _DAY_MS} days ago" if age_ms < 7 * _DAY_MS else date


def size_words(size_bytes: int) -> str:
    """Return a size in MB (10**6 bytes), as exact as its size asks for."""
    mega = size_bytes / 1e6
    if mega >= 1000:
        return f"{mega / 1000:.1f} GB"
    if mega >= 10:
        return f"{mega:.0f} MB"
    return f"{mega:.1f} MB" if mega >= 0.1 else f"{max(1, round(size_bytes / 1000))} kB"


def shown_name(name: str) -> str:
    """Return a recording's name without what is invisible and could mislead ("exe.gpj")."""
    return one_line(name) or FALLBACK_STEM


def cut_name(name: str) -> tuple[str, str]:
    """Split a name into a head that may be cut short and a tail that always shows."""
    cut = len(name) - _TAIL_CHARACTERS if len(name) > 2 * _TAIL_CHARACTERS else len(name)
    return name[:cut], name[cut:]


def time_left(job: Job, now_ms: int) -> str:
    """Return `about 2 min left`, or "" while nobody can know."""
    if job.started_at_ms is None or not _ETA_FROM_PERCENT <= job.progress < 100:
        return ""
    # Measured up to the last progress: while a stage says nothing the guess must not grow.
    so_far_ms = max(0, min(now_ms, job.updated_at_ms) - job.started_at_ms)
    if so_far_ms < _ETA_FROM_MS:
        return ""
    left_s = so_far_ms * (100 - job.progress) / job.progress / 1000
    if left_s < 10:
        return "a few seconds left"
    if left_s < 60:
        return f"about {round(left_s / 10) * 10} s left"
    minutes = round(left_s / 60)
    return f"about {minutes} min left" if minutes < 90 else f"about {round(minutes / 60)} h left"


def progress_words(job: Job, now_ms: int) -> str:
    """Return what a job is doing: `Transcribing, 41 %, about 2 min left`."""
    if job.status != "processing":
        return STATUS_WORDS[job.status]
    doing = STAGE_WORDS[job.stage][0] if job.stage in STAGE_WORDS else "Starting"
    return ", ".join(filter(None, (doing, f"{job.progress} %", time_left(job, now_ms))))


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage of a job in progress; `state` is "done", "now" or "to come"."""

    words: str
    state: str


def stage_lines(job: Job) -> tuple[StageLine, ...]:
    """Return every stage with how far it is; the current one is named as being done."""
    at = STAGES.index(job.stage) if job.stage in STAGES else -1
    lines = []
    for index, stage in enumerate(STAGES):
        doing, to_do = STAGE_WORDS[stage]
        state = "done" if index < at else "now" if index == at else "to come"
        lines.append(StageLine(doing if state == "now" else to_do, state))
    return tuple(lines)
