"""The review of a recording as the job page lists it: every finding in order, and the filters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from structlog import get_logger

from proofreel.adapters.storage import ObjectMissing, Storage
from proofreel.core.findings import Finding, list_findings
from proofreel.core.jobs import Job
from proofreel.core.report import report_from_json
from proofreel.core.timecode import to_clock

log = get_logger()

_MARKS = ("retake", "silence", "flag")  # the order of the filters
_GROUPS = {"retake": "Retakes", "silence": "Silences"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A finding with what the list adds: `id` stays the same as long as it is the same finding."""

    finding: Finding
    id: str
    kind: str
    at: str


@dataclass(frozen=True, slots=True)
class Filter:
    """One button over the list: shows the findings whose `kind` it is."""

    kind: str
    mark: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class Review:
    """All findings in order of time; `missing` if the report cannot be read any more."""

    listed: tuple[Listed, ...] = ()
    filters: tuple[Filter, ...] = ()
    missing: bool = False


def review_of(job: Job, storage: Storage) -> Review:
    """Return the review of a completed job. Raises StorageUnavailable."""
    stored = job.result.artifact("report_json") if job.result else None
    if stored is None:
        return Review(missing=True)
    try:
        report = report_from_json(json.loads(storage.read_bytes(stored.ref)))
    except (ObjectMissing, ValueError) as problem:
        log.warning("report_unreadable", job_id=job.id, reason=str(problem))
        return Review(missing=True)
    return list_review(list_findings(report))


def list_review(findings: Sequence[Finding]) -> Review:
    """Return `findings` with ids and filters: one for retakes, one for silences, one a sort of
    flag."""
    listed = tuple(
        Listed(
            finding=finding,
            id=f"{finding.mark}-{finding.start_ms}-{finding.end_ms}",
            kind=_kind(finding),
            at=to_clock(finding.start_ms),
        )
        for finding in findings
    )
    counts = Counter((one.finding.mark, one.kind) for one in listed)
    ordered = sorted(counts.items(), key=lambda item: _MARKS.index(item[0][0]))
    filters = tuple(
        Filter(kind, mark, _GROUPS.get(kind, kind), count) for (mark, kind), count in ordered
    )
    return Review(listed, filters)


def _kind(finding: Finding) -> str:
    return finding.title if finding.mark == "flag" else finding.mark
