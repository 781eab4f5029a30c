"""One try of a webhook message; the next one, if it is needed, waits in the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from proofreel.adapters.database import now_ms
from proofreel.adapters.webhook import DeliveryOutcome, next_delay_s
from proofreel.core.jobs import Delivery, DeliveryTry
from proofreel.core.spans import Attribute
from proofreel.workflows.durable import Worker

log = structlog.get_logger()

_NO_RECEIVER = DeliveryOutcome(
    None, "There is no receiver any more: WEBHOOK_URL is not set.", delivered=False, permanent=True
)


def send_once(worker: Worker, delivery_id: str, try_number: int) -> None:
    """Send the message and write down how it went.

    A try that was overtaken (sent again by hand) does nothing. A crash between the two sends the
    message twice, under the same id: receivers tell by it.
    """
    found = worker.ledger.delivery(delivery_id)
    if found is None:
        return
    delivery, payload = found
    if len(delivery.tries) + 1 != try_number:
        return
    about: dict[str, Attribute] = {
        "proofreel.job_id": delivery.job_id,
        "proofreel.try_number": try_number,
    }
    parent = worker.traceparent(delivery.job_id)
    with (
        structlog.contextvars.bound_contextvars(job_id=delivery.job_id),
        worker.tracer.span("webhook", about, kind="client", parent=parent) as span,
    ):
        outcome = _send(worker, delivery, payload)
        again_s = None if outcome.permanent else next_delay_s(try_number)
        result = "delivered" if outcome.delivered else "failed" if again_s is None else "retry"
        if outcome.status_code is not None:
            span.note({"http.response.status_code": outcome.status_code})
        if not outcome.delivered:
            span.fail(f"webhook_{result}")
        (log.info if outcome.delivered else log.warning)(
            "webhook_tried",
            outcome=result,
            try_number=try_number,
            status_code=outcome.status_code,
            reason=outcome.error,
            again_in_s=again_s if result == "retry" else None,
        )
    worker.ledger.record_try(
        delivery,
        DeliveryTry(at_ms=now_ms(), status_code=outcome.status_code, error=outcome.error),
        delivered=outcome.delivered,
        next_delay_s=again_s,
    )
    worker.tools.metrics.delivery_tried(result)


def _send(worker: Worker, delivery: Delivery, payload: Mapping[str, Any]) -> DeliveryOutcome:
    """Send to the address of the settings: the database has only what may be shown of it."""
    url = worker.announcer.url
    if url is None:
        return _NO_RECEIVER
    current = worker.announcer.as_sent(worker.ledger.find(delivery.job_id), payload)
    return worker.sender.send(url, message_id=delivery.id, payload=current)
