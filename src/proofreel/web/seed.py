"""The routes that existing clients use, with the answers they know."""

from __future__ import annotations

from urllib.parse import quote

from proofreel.core.job_fields import ORIGINAL, result_fields
from proofreel.core.jobs import TERMINAL, Artifact
from proofreel.core.media_types import media_type
from proofreel.web.api import Answer, blueprint
from proofreel.web.auth import key_is_right, open_to_all
from proofreel.web.bodies import body_schema, read_body
from proofreel.web.jobs_api import speech_options, submit_stored
from proofreel.web.schemas import (
    AcceptedAnswer,
    ConvertBody,
    ErrorBody,
    JobPath,
    KeyAnswer,
    KeyBody,
    OptionsBody,
    ProgressAnswer,
    StatusAnswer,
    UploadAnswer,
)
from proofreel.web.services import services
from proofreel.web.uploads import recall_stored, receive_upload
from proofreel.web.views import base_url

_FILE_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            }
        },
    }
}

bp = blueprint("seed", "Upload, convert, ask", prefix=None)
open_bp = blueprint("open", "Upload, convert, ask", prefix=None)
open_bp.abp_security = []


@open_bp.post(
    "/check_api_key",
    summary="Is this key right?",
    openapi_extensions=body_schema(KeyBody, or_form=True),
    responses={200: KeyAnswer, 401: KeyAnswer},
)
@open_to_all
def check_api_key() -> Answer:
    """`{"valid": true}`, or 401 and `{"valid": false}`. No key needed."""
    valid = key_is_right(read_body(KeyBody, or_form=True).api_key)
    return KeyAnswer(valid=valid).model_dump(), 200 if valid else 401


@bp.post(
    "/upload",
    summary="Store a recording",
    openapi_extensions=_FILE_FORM,
    responses={200: UploadAnswer, 413: ErrorBody, 507: ErrorBody},
)
def upload() -> Answer:
    """For a later `/convert_and_transcribe`, which takes the `filename` of the answer."""
    upload = receive_upload()
    stored = upload.ref
    recording = Artifact(ORIGINAL, upload.name, media_type(upload.name), stored)
    url = services().storage.link(recording) or f"{base_url()}/v1/{quote(stored.key)}"
    answer = UploadAnswer(message="File uploaded.", filename=stored.key, file_url=url)
    return answer.model_dump()


@bp.post(
    "/convert_and_transcribe",
    summary="Submit a stored recording",
    openapi_extensions=body_schema(ConvertBody, or_form=True),
    responses={202: AcceptedAnswer, 404: ErrorBody},
)
def convert_and_transcribe() -> Answer:
    """With the default options; ask `/job_status` how it goes."""
    source = recall_stored(read_body(ConvertBody, or_form=True).filename)
    job = submit_stored(source, speech_options(OptionsBody()), None)
    return AcceptedAnswer(message="The job is queued.", job_id=job.id).model_dump(), 202


@bp.get(
    "/job_status/<job_id>",
    summary="How is the job?",
    responses={200: StatusAnswer, 202: ProgressAnswer, 404: ErrorBody},
)
def job_status(path: JobPath) -> Answer:
    """202 while it is not finished; 200 with the files, or with why it failed."""
    job = services().jobs.get(path.job_id)
    if job.status not in TERMINAL:
        return {"status": job.status, "stage": job.stage, "progress": job.progress}, 202
    if job.result:
        fields = result_fields(job, job.result, base_url(), services().storage.link)
        return {"status": "completed", "message": job.result.headline, **fields}
    if job.failure:
        return {"status": "failed", "error": job.failure.message, "code": job.failure.code}
    return {"status": "failed", "error": "The job was cancelled.", "code": "cancelled"}
