"""Jobs and deliveries as rows of the database, and back."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from proofreel.core.jobs import Artifact, Delivery, DeliveryTry, Failure, Job, JobResult
from proofreel.core.model import ArtifactRef, JobSpec, SpeechOptions

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter looks like another


def new_job_id(now_ms: int) -> str:
    """Return 26 characters that sort by time and cannot be guessed (48 bits time, 80 random).

    The layout is that of a ULID (github.com/ulid/spec), in lower case.
    """
    number = (now_ms << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def request_sha256(spec: JobSpec) -> str:
    """Return what tells one request from another under the same Idempotency-Key."""
    source = spec.source
    content = source.sha256 or [source.key, source.etag]
    essence = [content, source.size_bytes, spec.name, asdict(spec.options)]
    return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()


def job_from_row(row: Row[Any]) -> Job:
    return job_from_values(row._asdict())


def job_from_values(values: Mapping[str, Any]) -> Job:
    """Return the job of a row by its columns; those left out are None."""
    failure, result = values.get("failure"), values.get("result")
    return Job(
        id=values["id"],
        name=values["name"],
        source=ArtifactRef(**values["source"]),
        options=SpeechOptions(**values["options"]),
        status=values["status"],
        stage=values["stage"],
        progress=values["progress"],
        attempt=values["attempt"],
        created_at_ms=values["created_at_ms"],
        updated_at_ms=values["updated_at_ms"],
        started_at_ms=values.get("started_at_ms"),
        finished_at_ms=values.get("finished_at_ms"),
        failure=Failure(**failure) if failure else None,
        result=result_from_json(result) if result else None,
    )


def result_to_json(result: JobResult) -> dict[str, Any]:
    return {
        "artifacts": [asdict(artifact) for artifact in result.artifacts],
        "duration_ms": result.duration_ms,
        "language": result.language,
        "summary": dict(result.summary),
        "headline": result.headline,
        "tape": dict(result.tape),
    }


def result_from_json(data: Mapping[str, Any]) -> JobResult:
    artifacts = tuple(
        Artifact(**{**found, "ref": ArtifactRef(**found["ref"])}) for found in data["artifacts"]
    )
    return JobResult(**{**data, "artifacts": artifacts})


def delivery_from_row(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        job_id=row.job_id,
        event=row.event,
        url=row.url,
        state=row.state,
        created_at_ms=row.created_at_ms,
        next_try_at_ms=row.next_try_at_ms,
        tries=tuple(DeliveryTry(**found) for found in row.tries),
    )
