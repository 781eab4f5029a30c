"""One try of a webhook message; the next one, if it is needed, waits in the queue."""

from __future__ import annotations

import structlog

from proofreel.adapters.database import now_ms
from proofreel.adapters.webhook import next_delay_s
from proofreel.core.jobs import DeliveryTry
from proofreel.workflows.durable import Worker

log = structlog.get_logger()


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
    payload = worker.announcer.as_sent(worker.ledger.find(delivery.job_id), payload)
    outcome = worker.sender.send(delivery.url, message_id=delivery.id, payload=payload)
    log.info(
        "webhook_sent",
        try_number=try_number,
        status_code=outcome.status_code,
        delivered=outcome.delivered,
    )
    worker.ledger.record_try(
        delivery,
        DeliveryTry(at_ms=now_ms(), status_code=outcome.status_code, error=outcome.error),
        delivered=outcome.delivered,
        next_delay_s=None if outcome.permanent else next_delay_s(try_number),
    )
