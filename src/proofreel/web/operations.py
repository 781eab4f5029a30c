"""What those who run the service ask: does it live, is it ready, how does it go."""

from __future__ import annotations

from importlib.metadata import version
from typing import cast

from flask import Response as FlaskResponse
from flask import current_app

from proofreel.web.api import Answer, blueprint
from proofreel.web.auth import open_to_all
from proofreel.web.health import HealthChecks
from proofreel.web.schemas import CheckAnswer, HealthAnswer, ReadyAnswer
from proofreel.web.services import services

HEALTH = "proofreel.health"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_INFORMS = frozenset(("workers",))  # the web half does its part without them: jobs wait

bp = blueprint("operations", "Operations", prefix=None)
open_bp = blueprint("probes", "Operations", prefix=None)
open_bp.abp_security = []


@open_bp.get("/health", summary="Does the service live?", responses={200: HealthAnswer})
@open_to_all
def health() -> Answer:
    """200 from the moment it answers at all; asks nothing it depends on. No key needed."""
    return HealthAnswer(status="healthy", version=version("proofreel")).model_dump()


@bp.get(
    "/metrics",
    summary="How does it go?",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics() -> FlaskResponse:
    """Figures for Prometheus, in its text format."""
    return FlaskResponse(services().metrics_page(), content_type=_PROMETHEUS)


@open_bp.get(
    "/health/ready",
    summary="Can the service do its work?",
    responses={200: ReadyAnswer, 503: ReadyAnswer},
)
@open_to_all
def ready() -> Answer:
    """200 while all it depends on works, else 503; `checks` says what does not. No key needed.

    The parts are asked at most every 2 seconds, and each has 5 seconds to answer.
    """
    found = cast(HealthChecks, current_app.extensions[HEALTH]).ask()
    well = all(each.status == "ok" for name, each in found.items() if name not in _INFORMS)
    answer = ReadyAnswer(
        status="ready" if well else "not_ready",
        version=version("proofreel"),
        checks={
            name: CheckAnswer(status=each.status, message=each.message)
            for name, each in found.items()
        },
    )
    return answer.model_dump(), 200 if well else 503
