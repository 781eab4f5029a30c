"""A completed job as clients of the first demo read it: one name and one URL per file."""

from __future__ import annotations

from urllib.parse import quote

from proofreel.core.jobs import Job, JobResult

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
    """Return where the file of a job is fetched; `base_url` has no slash at its end."""
    return f"{base_url}/v1/jobs/{job_id}/files/{quote(name)}"


def result_fields(job: Job, result: JobResult, base_url: str) -> dict[str, object]:
    """Return `*_filename` and `*_url` for every file, and the report's summary."""
    fields: dict[str, object] = {
        "original_filename": job.name,
        "original_file_url": file_url(base_url, job.id, "original"),
    }
    for artifact in result.artifacts:
        if field := _FIELDS.get(artifact.kind):
            fields[f"{field}_filename"] = artifact.name
            fields[f"{field}_url"] = file_url(base_url, job.id, artifact.name)
    return {**fields, "duration": result.duration_ms / 1000, "language": result.language} | {
        "summary": dict(result.summary)
    }
