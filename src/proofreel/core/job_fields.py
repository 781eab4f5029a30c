"""A completed job as clients of the first demo read it: one name and one URL per file."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from proofreel.core.jobs import Artifact, Job, JobResult
from proofreel.core.media_types import media_type
from proofreel.core.names import safe_name

ORIGINAL = "original"  # the kind of the recording itself
Link = Callable[[Artifact], str | None]  # where a file lies for everyone, None: only with us

# What each file is called in the answer of /job_status and in webhooks.
_FIELDS = {
    "transcript_text": "transcription",
    "srt": "srt",
    "report_text": "report",
    "plain_text": "plain_text",
    "vtt": "vtt",
    "tsv": "tsv",
    "transcript_json": "transcript_json",
    "report_json": "report_json",
    "report_html": "report_html",
    "scaled_video": "scaled",
    "scaled_audio": "scaled",
}


def file_url(base_url: str, job_id: str, name: str) -> str:
    """Return where the file of a job is fetched; `base_url` has no slash at its end, "" makes it
    relative to the host.
    """
    return f"{base_url}/v1/jobs/{job_id}/files/{quote(name)}"


def original(job: Job) -> Artifact:
    """Return the job's recording as one of its files."""
    name = safe_name(job.name)
    return Artifact(ORIGINAL, name, media_type(name), job.source)


def result_fields(job: Job, result: JobResult, base_url: str, link: Link) -> dict[str, object]:
    """Return `*_filename` and `*_url` for every file, and the report's summary.

    A URL is what `link` says, else our own route below `base_url`, which asks for the key.
    """
    recording = original(job)
    fields: dict[str, object] = {
        "original_filename": job.name,
        "original_file_url": link(recording) or file_url(base_url, job.id, ORIGINAL),
    }
    for artifact in result.artifacts:
        if field := _FIELDS.get(artifact.kind):
            fields[f"{field}_filename"] = artifact.name
            own = file_url(base_url, job.id, artifact.name)
            fields[f"{field}_url"] = link(artifact) or own
    return {**fields, "duration": result.duration_ms / 1000, "language": result.language} | {
        "summary": dict(result.summary)
    }
