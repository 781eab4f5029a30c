"""`/v1/webhooks`: what was sent to whom, and sending it again."""

from __future__ import annotations

from proofreel.web.api import Answer, blueprint
from proofreel.web.schemas import (
    DeliveriesQuery,
    DeliveryAnswer,
    DeliveryListAnswer,
    DeliveryPath,
    ErrorBody,
)
from proofreel.web.services import services
from proofreel.web.views import delivery_answer

bp = blueprint("webhooks", "Webhooks")


@bp.get(
    "/webhooks/deliveries", summary="List webhook messages", responses={200: DeliveryListAnswer}
)
def list_deliveries(query: DeliveriesQuery) -> Answer:
    """Newest first, each with all its tries."""
    found = services().jobs.deliveries(job_id=query.job_id, limit=query.limit)
    return DeliveryListAnswer(deliveries=[delivery_answer(each) for each in found]).model_dump()


@bp.post(
    "/webhooks/deliveries/<delivery_id>/resend",
    summary="Send a webhook message again",
    responses={202: DeliveryAnswer, 404: ErrorBody},
)
def resend_delivery(path: DeliveryPath) -> Answer:
    """Now, under the same id, so that a receiver can tell it from a new one."""
    return delivery_answer(services().jobs.resend(path.delivery_id)).model_dump(), 202
