"""`/v1/jobs`: submit, read, list, cancel, retry, delete."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import g, request, url_for
from structlog import get_logger

from proofreel.core.jobs import Job
from proofreel.core.model import ArtifactRef, JobSpec, SpeechOptions
from proofreel.errors import ProofreelError
from proofreel.web.api import Answer, blueprint
from proofreel.web.bodies import body_schema, checked, inline_schema, read_body
from proofreel.web.errors import BadRequest
from proofreel.web.schemas import (
    ErrorBody,
    IdempotencyHeader,
    JobAnswer,
    JobListAnswer,
    JobPath,
    ListQuery,
    OptionsBody,
    SubmitBody,
)
from proofreel.web.services import services
from proofreel.web.uploads import discard_upload, recall_stored, receive_upload
from proofreel.web.views import base_url, job_answer

bp = blueprint("jobs", "Jobs")
log = get_logger()


def _submit_schema() -> dict[str, Any]:
    schema = body_schema(SubmitBody)
    form = inline_schema(OptionsBody)
    form["properties"] = {"file": {"type": "string", "format": "binary"}, **form["properties"]}
    form["required"] = ["file"]
    schema["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    return schema


@bp.post(
    "/jobs",
    summary="Submit a recording",
    openapi_extensions=_submit_schema(),
    responses={202: JobAnswer, 404: ErrorBody, 413: ErrorBody, 422: ErrorBody, 507: ErrorBody},
)
def submit_job(header: IdempotencyHeader) -> Answer:
    """As a form with the recording in `file`, or as JSON naming what `/upload` stored."""
    if request.mimetype == "multipart/form-data":
        job = _submit_form(header.key)
    else:
        body = read_body(SubmitBody)
        options = speech_options(body.options)
        job = submit_stored(recall_stored(body.filename), options, header.key)
    location = url_for("jobs.get_job", job_id=job.id)
    return _shown(job), 202, {"Location": location}


@bp.get("/jobs", summary="List jobs", responses={200: JobListAnswer})
def list_jobs(query: ListQuery) -> Answer:
    """Newest first, a page at a time; by state and by a part of the name."""
    page = services().jobs.list(
        status=query.status, search=query.q, limit=query.limit, cursor=query.cursor
    )
    base = base_url()
    found = [job_answer(job, base) for job in page.items]
    return JobListAnswer(jobs=found, next_cursor=page.next_cursor).model_dump()


@bp.get("/jobs/<job_id>", summary="Read a job", responses={200: JobAnswer, 404: ErrorBody})
def get_job(path: JobPath) -> Answer:
    """Its state, and once it is completed what was found and where the files are."""
    return _shown(services().jobs.get(path.job_id))


@bp.post(
    "/jobs/<job_id>/cancel",
    summary="Cancel a job",
    responses={200: JobAnswer, 404: ErrorBody, 409: ErrorBody},
)
def cancel_job(path: JobPath) -> Answer:
    """One in the queue never starts, one at work stops; 409 for a finished one."""
    return _shown(services().jobs.cancel(path.job_id))


@bp.post(
    "/jobs/<job_id>/retry",
    summary="Try a job again",
    responses={202: JobAnswer, 404: ErrorBody, 409: ErrorBody},
)
def retry_job(path: JobPath) -> Answer:
    """A failed or cancelled job, from the start, under the same id; 409 for any other."""
    return _shown(services().jobs.retry(path.job_id)), 202


@bp.delete("/jobs/<job_id>", summary="Delete a job", responses={204: None, 404: ErrorBody})
def delete_job(path: JobPath) -> Answer:
    """With its files and its recording; stops it first if it is at work."""
    services().jobs.delete(path.job_id)
    return "", 204


def speech_options(body: OptionsBody) -> SpeechOptions:
    """Return what to ask of the recogniser. Raises BadRequest `model_unknown`, InvalidInput."""
    known = services()
    options = body.options(known.default_model)
    if options.model not in known.models:
        names = ", ".join(known.models)
        raise BadRequest(f"There is no such model here. Choose one of: {names}.", "model_unknown")
    known.check_options(options)
    return options


def submit_stored(ref: ArtifactRef, options: SpeechOptions, idempotency_key: str | None) -> Job:
    """Queue a job for a recording that is already stored; its name is that of its key."""
    return submit(JobSpec(ref, ref.key.rpartition("/")[2], options), idempotency_key)


def submit(spec: JobSpec, idempotency_key: str | None = None) -> Job:
    """Queue the job, and say in the log which request it came with."""
    job = services().jobs.submit(
        spec, idempotency_key=idempotency_key, traceparent=g.span.traceparent
    )
    g.span.note({"proofreel.job_id": job.id})
    log.info("job_submitted", job_id=job.id, attempt=job.attempt, size_bytes=spec.source.size_bytes)
    return job


def _submit_form(idempotency_key: str | None) -> Job:
    upload = receive_upload()
    try:
        options = speech_options(checked(OptionsBody, upload.fields))
        job = submit_stored(upload.ref, options, idempotency_key)
    except BaseException:
        _discard_unless_used(upload.ref)
        raise
    if job.source.key != upload.ref.key:  # the job of an earlier, equal request
        discard_upload(upload.ref)
    return job


def _discard_unless_used(ref: ArtifactRef) -> None:
    """Whether a job took it is not known if the database went away in between: then it stays."""
    with suppress(ProofreelError):
        if not services().jobs.uses_source(ref.key):
            discard_upload(ref)


def _shown(job: Job) -> dict[str, Any]:
    return job_answer(job, base_url()).model_dump()
