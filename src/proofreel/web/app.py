"""The Flask application: wiring only."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version

from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from proofreel.web import events, files, jobs_api, operations, pages, seed, webhooks_api
from proofreel.web.api import SECURITY_SCHEMES
from proofreel.web.apidocs import register_docs
from proofreel.web.auth import LIMITER, SESSION_DAYS, SessionCookie, guard
from proofreel.web.failures import refuse, register_failures
from proofreel.web.health import HealthChecks
from proofreel.web.limits import FailureLimiter
from proofreel.web.schemas import ErrorBody
from proofreel.web.security import register_security
from proofreel.web.services import EXTENSION, WebServices
from proofreel.web.uploads import MAX_FORM_BYTES, MAX_PARTS

MAX_BODY_BYTES = 1024 * 1024  # of everything but an upload, which sets its own limit
_DESCRIPTION = (
    "Recordings in; transcript, subtitles and a review report out. Every route but `/health`, "
    "`/health/ready` and `/check_api_key` needs the API key."
)


def create_app(services: WebServices) -> OpenAPI:
    """Return the web application over `services`."""
    app = OpenAPI(
        "proofreel.web",
        info=Info(title="Proofreel", version=version("proofreel"), description=_DESCRIPTION),
        security_schemes=SECURITY_SCHEMES,
        validation_error_status=400,
        validation_error_model=ErrorBody,
        validation_error_callback=refuse,
    )
    app.config.update(
        SECRET_KEY=services.cookie_secret,
        SESSION_COOKIE_NAME="proofreel_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=SESSION_DAYS),
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_FORM_BYTES,
        MAX_FORM_PARTS=MAX_PARTS,
    )
    app.session_interface = SessionCookie()
    app.extensions[EXTENSION] = services
    app.extensions[LIMITER] = FailureLimiter()
    app.extensions[operations.HEALTH] = HealthChecks(services.checks)
    register_security(app)  # first in, so that even a refusal has its id and headers
    app.before_request(guard)
    register_failures(app)
    register_docs(app)
    for part in (
        *(operations.open_bp, operations.bp, seed.open_bp, seed.bp),
        *(jobs_api.bp, events.bp, files.bp, webhooks_api.bp),
    ):
        app.register_api(part)
    app.register_blueprint(pages.bp)
    return app
