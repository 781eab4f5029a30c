"""Completed jobs with a real review: transcript, report and tape as the worker would store them."""

from __future__ import annotations

import json

from proofreel.adapters.local_storage import LocalStorage
from proofreel.core.jobs import Artifact, Job, JobResult
from proofreel.core.model import (
    ArtifactRef,
    Flag,
    Occurrence,
    Repeat,
    Report,
    Silence,
    Transcript,
)
from proofreel.core.names import ARTIFACTS, artifact_name
from proofreel.core.report import headline, report_to_json, summary
from proofreel.core.tape import Tape, tape_to_json
from proofreel.core.transcript import transcript_to_json
from tests.transcripts import transcript
from tests.web.helpers import Site

# 300 ms a word: "um" lies at 0.6 s, the silence from 1.8 s, the takes at 5.8 s and 7.6 s.
SPOKEN = transcript(
    "Today we um talk about cells.", 4.0, "They are small.", 0.9, "They are small.", 1.0
)


def review_of(spoken: Transcript) -> Report:
    """What was found in SPOKEN: a silence, a retake, a filler."""
    return Report(
        duration_ms=spoken.duration_ms,
        language=spoken.language,
        silences=(Silence(1800, 5800, -61.0),),
        repeats=(
            Repeat(
                kind="full",
                similarity=1.0,
                keep=1,
                occurrences=(
                    Occurrence(5800, 6700, "They are small."),
                    Occurrence(7600, 8500, "They are small."),
                ),
                evidence={"pause_s": 0.9, "keep_reason": "the last complete take"},
            ),
        ),
        flags=(Flag(600, 900, "filler", "um", {"words": 1, "probability": 0.83}),),
    )


def complete_review(
    site: Site, job_id: str, spoken: Transcript = SPOKEN, report: Report | None = None
) -> Job:
    """End the job as a worker would; without `report`, with that of SPOKEN."""
    report = report or review_of(spoken)
    job = site.services.jobs.get(job_id)
    files = {
        "srt": b"1\n00:00:00,000 --> 00:00:01,800\nToday we um talk about cells.\n",
        "vtt": b"WEBVTT\n\n00:00.000 --> 00:01.800\nToday we um talk about cells.\n",
        "plain_text": spoken.text.encode(),
        "transcript_json": json.dumps(transcript_to_json(spoken)).encode(),
        "report_json": json.dumps(report_to_json(report)).encode(),
        "report_html": b"<!doctype html><title>Report</title><p>Report</p>",
    }
    peaks = tuple(0.2 + 0.8 * (i % 7) / 7 for i in range(240))
    tape = Tape(spoken.duration_ms, peaks, report.silences, report.repeats, report.flags)
    result = JobResult(
        artifacts=tuple(_stored(site, job, kind, data) for kind, data in files.items()),
        duration_ms=spoken.duration_ms,
        language=spoken.language,
        summary=summary(report),
        headline=headline(report),
        tape=tape_to_json(tape),
    )
    site.ledger.start(job_id, job.attempt, "publish", 99)
    site.ledger.complete(job_id, job.attempt, result, None)
    return site.services.jobs.get(job_id)


def _stored(site: Site, job: Job, kind: str, data: bytes) -> Artifact:
    assert isinstance(site.services.storage, LocalStorage)
    name = artifact_name(job.name, kind)
    ref: ArtifactRef = site.services.storage.put_bytes(f"jobs/{job.id}/{name}", data)
    return Artifact(kind, name, ARTIFACTS[kind].content_type, ref)
