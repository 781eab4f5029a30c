"""Headers that every response carries, and one log line per request."""

from __future__ import annotations

import re
import secrets
import time

from flask import Flask, Response, g, request
from structlog import get_logger
from structlog.contextvars import bind_contextvars, unbind_contextvars

from proofreel.core.jobs import JOB_ID
from proofreel.core.spans import log_context
from proofreel.web.auth import is_https
from proofreel.web.services import services

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_ONE_YEAR_S = 365 * 24 * 3600
_PROBES = frozenset(("/health", "/health/ready", "/metrics"))  # every few seconds, for ever
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")

log = get_logger()


def register_security(app: Flask) -> None:
    """Give every request an id and every response its headers; log each with its time."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_forget)


def _begin() -> None:
    sent = request.headers.get("X-Request-Id", "")
    g.request_id = sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(8)
    g.began_s = time.perf_counter()
    bind_contextvars(request_id=g.request_id)
    if _route() not in _PROBES:
        parent = request.headers.get("traceparent")
        g.span = services().tracer.begin(request.method, kind="server", parent=parent)
        bind_contextvars(**log_context(g.span))


def _finish(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if is_https():
        response.headers["Strict-Transport-Security"] = f"max-age={_ONE_YEAR_S}"
    response.headers["X-Request-Id"] = g.request_id
    route = _route()
    seconds = time.perf_counter() - g.began_s
    services().on_request(request.method, route, response.status_code, seconds)
    if "span" in g:
        g.span.name(f"{request.method} {route or 'none'}")
        g.span.note(
            {
                "http.request.method": request.method,
                "http.route": route or "none",
                "http.response.status_code": response.status_code,
                "proofreel.request_id": g.request_id,
            }
        )
        if response.status_code >= 500:
            g.span.fail(str(response.status_code))
    job_id = str((request.view_args or {}).get("job_id", ""))
    probed = route in _PROBES and response.status_code < 400
    (log.debug if probed else log.info)(
        "request",
        method=request.method,
        route=route,
        status=response.status_code,
        ms=round(seconds * 1000, 1),
        **({"job_id": job_id} if JOB_ID.fullmatch(job_id) else {}),
    )
    return response


def _route() -> str | None:
    return request.url_rule.rule if request.url_rule else None


def _forget(_error: BaseException | None) -> None:
    if "span" in g:
        g.span.end()
    unbind_contextvars("request_id", "trace_id")  # the thread goes on to another request
