"""Jobs, files and deliveries as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import request

from proofreel.core.job_fields import ORIGINAL, file_url, original
from proofreel.core.jobs import Artifact, Delivery, Job, JobResult
from proofreel.core.names import ARTIFACTS
from proofreel.web.schemas import (
    DeliveryAnswer,
    DeliveryTryAnswer,
    FailureAnswer,
    FileAnswer,
    JobAnswer,
    OptionsAnswer,
    ResultAnswer,
)
from proofreel.web.services import services

ORIGINAL_PURPOSE = "The recording as it was uploaded"


def base_url() -> str:
    """Return how the caller reaches us, without a slash at the end."""
    return services().public_url or request.host_url.rstrip("/")


def iso_time(at_ms: int | None) -> str | None:
    """Return epoch milliseconds as ISO 8601 in UTC, None for None."""
    if at_ms is None:
        return None
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_files(job: Job) -> tuple[Artifact, ...]:
    """Return every file of the job that can be fetched, the recording last."""
    made = job.result.artifacts if job.result else ()
    return (*made, original(job))


def job_answer(job: Job, base: str) -> JobAnswer:
    """Return `job` as the API shows it, with links that start with `base`."""
    created, updated = iso_time(job.created_at_ms), iso_time(job.updated_at_ms)
    failure = job.failure
    return JobAnswer(
        id=job.id,
        name=job.name,
        status=job.status,
        stage=job.stage,
        progress=job.progress,
        attempt=job.attempt,
        created_at=created or "",
        updated_at=updated or "",
        started_at=iso_time(job.started_at_ms),
        finished_at=iso_time(job.finished_at_ms),
        options=OptionsAnswer(
            model=job.options.model,
            language=job.options.language,
            task=job.options.task,
            prompt=job.options.prompt,
        ),
        error=FailureAnswer(code=failure.code, message=failure.message, retryable=failure.retryable)
        if failure
        else None,
        result=_result_answer(job, job.result, base) if job.result else None,
    )


def delivery_answer(delivery: Delivery) -> DeliveryAnswer:
    """Return a webhook message as the API shows it."""
    tries = [
        DeliveryTryAnswer(
            at=iso_time(tried.at_ms) or "", status_code=tried.status_code, error=tried.error
        )
        for tried in delivery.tries
    ]
    return DeliveryAnswer(
        id=delivery.id,
        job_id=delivery.job_id,
        event=delivery.event,
        url=delivery.url,
        state=delivery.state,
        created_at=iso_time(delivery.created_at_ms) or "",
        next_try_at=iso_time(delivery.next_try_at_ms),
        tries=tries,
    )


def _result_answer(job: Job, result: JobResult, base: str) -> ResultAnswer:
    return ResultAnswer(
        duration=round(result.duration_ms / 1000, 3),
        language=result.language,
        headline=result.headline,
        summary=dict(result.summary),
        files=[_file_answer(job, found, base) for found in job_files(job)],
    )


def _file_answer(job: Job, found: Artifact, base: str) -> FileAnswer:
    known = ARTIFACTS.get(found.kind)
    # "original" by its kind: an upload may carry the name of one of our files
    name = found.kind if found.kind == ORIGINAL else found.name
    return FileAnswer(
        kind=found.kind,
        name=found.name,
        content_type=found.content_type,
        size=found.ref.size_bytes,
        purpose=known.purpose if known else ORIGINAL_PURPOSE,
        url=file_url(base, job.id, name),
    )
