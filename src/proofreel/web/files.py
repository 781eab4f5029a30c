"""Files on their way out: conditional requests, byte ranges, names that cannot break a header."""

from __future__ import annotations

from flask import Response, request
from werkzeug.wsgi import FileWrapper

from proofreel.adapters.storage import ObjectChanged, ObjectMissing
from proofreel.core.disposition import disposition
from proofreel.core.jobs import Artifact, Job
from proofreel.core.media_types import UNKNOWN_TYPE, media_type
from proofreel.core.model import ArtifactRef
from proofreel.web.api import Responses, blueprint, file_response
from proofreel.web.errors import NoSuchThing
from proofreel.web.schemas import ErrorBody, FilePath, InlineQuery, UploadPath
from proofreel.web.services import services
from proofreel.web.uploads import recall_stored
from proofreel.web.views import job_files

_BLOCK_BYTES = 256 * 1024
_INLINE_TYPES = ("audio/", "video/")
_PAGE_TYPE = "text/html"
# The report is ours, but its words are a stranger's: no script, no network, an origin of its own.
_PAGE_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)
_BINARY = file_response(UNKNOWN_TYPE)
_ANSWERS: Responses = {
    200: _BINARY,
    206: _BINARY,
    304: {"description": "As `If-None-Match` has it"},
    404: ErrorBody,
    416: ErrorBody,
}

bp = blueprint("files", "Files")


@bp.get("/jobs/<job_id>/files/<file>", summary="Fetch a file of a job", responses=_ANSWERS)
def get_job_file(path: FilePath, query: InlineQuery) -> Response:
    """By its kind (`srt`, `report_html`, `original`) or its name. Byte ranges and `HEAD` work."""
    found = find_file(services().jobs.get(path.job_id), path.file)
    return send_object(found.ref, found.name, found.content_type, inline=query.inline)


@bp.get("/uploads/<upload_id>/<name>", summary="Fetch an uploaded recording", responses=_ANSWERS)
def get_upload(path: UploadPath, query: InlineQuery) -> Response:
    """As `/upload` linked it."""
    ref = recall_stored(f"uploads/{path.upload_id}/{path.name}")
    return send_object(ref, path.name, media_type(path.name), inline=query.inline)


def find_file(job: Job, wanted: str) -> Artifact:
    """Return the file of `job` of that kind, else of that name. Raises NoSuchThing."""
    files = job_files(job)
    by_kind = (found for found in files if found.kind == wanted)
    by_name = (found for found in files if found.name == wanted)
    found = next(by_kind, None) or next(by_name, None)
    if found is None:
        raise NoSuchThing("The job has no such file.", "file_not_found")
    return found


def send_object(ref: ArtifactRef, name: str, content_type: str, *, inline: bool) -> Response:
    """Answer with the stored bytes `ref`, as the request's conditions and range ask for.

    Only sound, pictures and our own report are ever shown inline; all else is saved as `name`.
    Raises ObjectMissing, RequestedRangeNotSatisfiable.
    """
    page = content_type.startswith(_PAGE_TYPE)
    shown = inline and (page or content_type.startswith(_INLINE_TYPES))
    response = Response(content_type=content_type)
    response.headers["Content-Disposition"] = disposition(name, inline=shown)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Accept-Ranges"] = "bytes"
    if page:
        response.headers["Content-Security-Policy"] = _PAGE_POLICY
    response.set_etag(ref.sha256 or ref.etag.strip('"'))
    response.content_length = ref.size_bytes
    response.make_conditional(
        request.environ,
        accept_ranges=_has_one_range(ref.size_bytes),
        complete_length=ref.size_bytes,
    )
    _fill(response, ref)
    return response


def _has_one_range(size_bytes: int) -> bool:
    """Tell whether to look at the Range header: several ranges, or a suffix longer than the file,
    get the whole file, as RFC 9110 §14.2 allows; a broken header counts as none."""
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return False
    return asked.ranges[0][0] >= -size_bytes


def _fill(response: Response, ref: ArtifactRef) -> None:
    storage = services().storage
    if request.method == "HEAD" or response.status_code in (304, 412):
        found = storage.stat(ref.key)
        if found is None:
            raise ObjectMissing(ref.key)
        if ref.etag and ref.etag != found.etag:
            raise ObjectChanged(ref.key)
        return
    part = response.content_range if response.status_code == 206 else None
    start, stop = (part.start or 0, part.stop or 0) if part else (0, ref.size_bytes)
    reader = storage.open_range(ref, start, stop - start)
    response.response = FileWrapper(reader, _BLOCK_BYTES)
    response.direct_passthrough = True
    response.call_on_close(reader.close)
