"""One way to log: every line to standard error, with the context of its job or request, no secret.

Lines of libraries (gunicorn, DBOS, SQLAlchemy, boto3, Python's warnings) go the same way as ours.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Literal
from urllib.parse import unquote

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from proofreel.core.redaction import Redactor
from proofreel.errors import ProofreelError

Form = Literal["console", "json"]

log = structlog.get_logger()

# What libraries read from the environment by themselves, and must not tell either; of lists
# (name=value,…) each value.
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD")
_SECRET_LISTS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_FIRST = ("timestamp", "level", "event", "job_id", "attempt", "stage", "request_id")
_HANDLER = "proofreel"
_redactor = Redactor()


def configure_logging(
    form: Form, *, level: int = logging.INFO, secrets: Iterable[str] = ()
) -> None:
    """Send every line to standard error, as JSON or for a person to read.

    `secrets` are taken out of every text. Of libraries only warnings are told, and worse.
    """
    _redactor.add(secrets)
    _redactor.add(os.environ.get(name, "") for name in _SECRET_VARIABLES)
    lists = ",".join(os.environ.get(name, "") for name in _SECRET_LISTS)
    values = [each.partition("=")[2].strip() for each in lists.split(",")]
    _redactor.add([*values, *map(unquote, values)])
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.name = _HANDLER
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*shared, _engine_context],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # no locals: they may hold secrets
                _redact,
                _renderer(form),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if other.name != _HANDLER] + [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("proofreel").setLevel(level)
    logging.getLogger("dbos").handlers = [logging.NullHandler()]  # so that it adds none of its own
    logging.captureWarnings(True)
    sys.excepthook = _on_crash
    threading.excepthook = lambda crash: _on_crash(
        crash.exc_type, crash.exc_value, crash.exc_traceback
    )
    sys.unraisablehook = lambda crash: _on_crash(
        crash.exc_type, crash.exc_value, crash.exc_traceback
    )


def keep_secret(*secrets: str) -> None:
    """Take these, too, out of every text from now on."""
    _redactor.add(secrets)


def announce(form: Form, sentence: str) -> None:
    """Tell the operator, as a line of the log where programs read it."""
    if form == "json":
        log.info("announced", sentence=sentence)
    else:
        print(sentence, file=sys.stderr)


def tell_end(error: Exception) -> None:
    """Say why a service does not start. Its settings may be what could not be read."""
    if os.environ.get("PROOFREEL_LOG_FORMAT") == "json" and not structlog.is_configured():
        configure_logging("json")
    if not isinstance(error, ProofreelError):
        log.critical("crashed", exc_info=error)
    elif os.environ.get("PROOFREEL_LOG_FORMAT") == "json":
        log.critical("cannot_start", code=error.code, reason=str(error), detail=error.detail)
    else:
        print(_redactor.text(f"proofreel: {error}"), file=sys.stderr)


def _renderer(form: Form) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take the secrets out, and put first what every line has."""
    first = [name for name in _FIRST if name in event]
    order = (*first, *(name for name in event if name not in first))
    return {name: _redactor.value(event[name]) for name in order}


def _engine_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add which workflow a line of the job engine is about."""
    workflow = getattr(event["_record"], "operationUUID", None)
    return {**event, "workflow": workflow} if workflow else event


def _on_crash(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    log.critical("crashed", exc_info=(kind, error or kind(), trace))
