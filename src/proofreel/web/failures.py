"""Every failure as an answer: `{"error": "sentence", "code": "word"}`, or a page for a browser."""

from __future__ import annotations

import traceback
from typing import NoReturn

from flask import Flask, Response, g, jsonify, render_template, request
from pydantic import ValidationError
from structlog import get_logger
from werkzeug.exceptions import HTTPException

from proofreel.errors import ProofreelError
from proofreel.web.errors import BadRequest, TooManyAttempts, http_status

RETRY_AFTER_S = 5
_API_PATHS = ("/v1/", "/job_status/", "/openapi/", "/health/")
_API_ROUTES = frozenset(
    ("/health", "/metrics", "/check_api_key", "/upload", "/convert_and_transcribe")
)
_SENTENCES = {
    400: ("invalid_request", "The request could not be read."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not answer that method."),
    413: ("request_too_large", "The request is larger than this address accepts."),
    416: ("range_not_satisfiable", "The file does not have that range of bytes."),
    500: ("internal_error", "Something went wrong here. Try again; if it persists, see the log."),
}

log = get_logger()


def register_failures(app: Flask) -> None:
    """Answer every failure of `app`. The page is `error.html`, given status, code, message and
    request_id."""
    app.register_error_handler(ProofreelError, _on_error)
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(Exception, _on_bug)


def problem_of(error: ValidationError) -> BadRequest:
    """Return what pydantic refused first, as a sentence that names the field."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    field = ".".join(map(str, first["loc"]))
    return BadRequest(f"{field}: {reason}." if field else f"{reason}.")


def refuse(error: ValidationError) -> NoReturn:
    """Raise BadRequest for what pydantic refused."""
    raise problem_of(error)


def _on_error(error: ProofreelError) -> Response:
    status = http_status(error)
    if status >= 500:
        log.warning("request_failed", code=error.code, reason=str(error), detail=error.detail)
    response = _answer(status, error.code, str(error))
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after_s)
    elif status in (503, 507):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    elif status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="Proofreel"'
    return response


def _on_http(error: HTTPException) -> Response:
    status = error.code or 500
    name = error.name.lower().replace(" ", "_")
    code, sentence = _SENTENCES.get(status, (name, f"{error.name}."))
    response = _answer(status, code, sentence)
    for header, value in error.get_headers(request.environ):
        if header.lower() not in ("content-type", "content-length"):
            response.headers[header] = value  # Allow, Content-Range, Retry-After
    return response


def _on_bug(error: Exception) -> Response:
    # Formatted here: a renderer that shows the locals of each frame would show keys as well.
    trace = "".join(traceback.format_exception(error))
    log.error("request_crashed", exception=trace)
    return _answer(500, *_SENTENCES[500])


def _answer(status: int, code: str, message: str) -> Response:
    request_id = g.get("request_id", "")
    if _wants_page():
        page = render_template(
            "error.html", status=status, code=code, message=message, request_id=request_id
        )
        response = Response(page, mimetype="text/html")
    else:
        body = {"error": message, "code": code}
        response = jsonify(body | {"request_id": request_id} if status == 500 else body)
    response.status_code = status
    return response


def _wants_page() -> bool:
    """Tell whether a person navigated here: programs get JSON even when they accept anything."""
    if request.path.startswith(_API_PATHS) or request.path in _API_ROUTES:
        return False
    offered = request.accept_mimetypes
    return "text/html" in offered.values() and offered["text/html"] >= offered["application/json"]
