"""What the webhook is told of a job's end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proofreel.adapters.addresses import redact_url
from proofreel.adapters.database import now_ms
from proofreel.adapters.ledger import Message
from proofreel.adapters.webhook import webhook_payload
from proofreel.core.job_fields import Link, result_fields
from proofreel.core.jobs import Failure, Job, JobResult


@dataclass(frozen=True, slots=True)
class Announcer:
    """Makes messages for `url` (None: for nobody); `base_url` is where others reach the service,
    `link` where they reach a file without its key."""

    url: str | None
    base_url: str
    link: Link

    def announce(self, job: Job, outcome: JobResult | Failure) -> Message | None:
        """Return the message of the job's end as it is kept; its links are those of the service."""
        if self.url is None:
            return None
        shown = redact_url(self.url)  # the message goes to the address that is set when it is sent
        if isinstance(outcome, Failure):
            payload = webhook_payload(
                event="job.failed",
                at_ms=now_ms(),
                job_id=job.id,
                status="failed",
                error=outcome.message,
            )
            return Message("job.failed", shown, payload)
        payload = webhook_payload(
            event="job.completed",
            at_ms=now_ms(),
            job_id=job.id,
            status="completed",
            result=result_fields(job, outcome, self.base_url, lambda _: None),
        )
        return Message("job.completed", shown, payload)

    def as_sent(self, job: Job | None, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the kept `payload` with links that are good now: a later try comes after the
        links of an earlier one have expired. `job` None: it is gone, and so are its files."""
        if job is None or job.result is None or payload["status"] != "completed":
            return payload
        result = result_fields(job, job.result, self.base_url, self.link)
        return {**payload, "result": result, "data": {**payload["data"], "result": result}}
