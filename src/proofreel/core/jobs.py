"""A job as everyone sees it: its state, its progress, what came out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from proofreel.core.model import ArtifactRef, SpeechOptions

JobStatus = Literal["queued", "processing", "completed", "failed", "cancelled"]
JOB_STATUSES: tuple[JobStatus, ...] = ("queued", "processing", "completed", "failed", "cancelled")
JOB_ID = re.compile(r"[0-9a-z]{20,40}")
TERMINAL: frozenset[JobStatus] = frozenset(("completed", "failed", "cancelled"))

# Each hop a job goes through, with the share of its time it takes, in per cent of the whole
# (measured over 5 to 6 minutes of speech with `base` on two cores; only the bar rests on it).
STAGE_SHARES: Mapping[str, int] = {
    "probe": 1,
    "extract": 4,
    "transcribe": 88,
    "silence": 2,
    "subtitles": 1,
    "report": 1,
    "scale": 2,
    "publish": 1,
}
STAGES: tuple[str, ...] = tuple(STAGE_SHARES)


def overall_percent(stage: str, fraction: float) -> int:
    """Return how much of the whole job is done when `fraction` (0 to 1) of `stage` is."""
    before = 0
    for name, share in STAGE_SHARES.items():
        if name == stage:
            return min(99, int(before + share * min(max(fraction, 0.0), 1.0)))
        before += share
    return 0


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a job: `kind` is its machine word ("srt"), `name` what people save it as."""

    kind: str
    name: str
    content_type: str
    ref: ArtifactRef


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a completed job left behind.

    `summary` holds the counts and totals of the report, `headline` is its first sentence, `tape`
    the JSON form of the recording's strip (`core/tape.py`).
    """

    artifacts: tuple[Artifact, ...]
    duration_ms: int
    language: str
    summary: Mapping[str, object]
    headline: str
    tape: Mapping[str, object]

    def artifact(self, kind: str) -> Artifact | None:
        return next((found for found in self.artifacts if found.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed; `retryable` says whether the same file may work at another try."""

    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A recording on its way through the pipeline. Times are epoch milliseconds, UTC.

    `progress` is 0 to 100 over the whole job; `stage` is "" until the first hop starts; `attempt`
    counts from 1; `traceparent` is the W3C trace context of the request that submitted it.
    """

    id: str
    name: str
    source: ArtifactRef
    options: SpeechOptions
    status: JobStatus
    stage: str
    progress: int
    attempt: int
    created_at_ms: int
    updated_at_ms: int
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    failure: Failure | None = None
    result: JobResult | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """A stretch of the list of jobs, newest first; `next_cursor` None: that was the last."""

    items: tuple[Job, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker that lately said it lives; `model_problem` None: it can transcribe."""

    executor_id: str
    model_problem: str | None


@dataclass(frozen=True, slots=True)
class DeliveryTry:
    """One attempt to deliver a webhook; `status_code` None: no answer came, `error` says why."""

    at_ms: int
    status_code: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook message and how its delivery went. `id` is the same on every try."""

    id: str
    job_id: str
    event: str
    url: str
    state: Literal["pending", "delivered", "failed"]
    created_at_ms: int
    next_try_at_ms: int | None
    tries: tuple[DeliveryTry, ...]
