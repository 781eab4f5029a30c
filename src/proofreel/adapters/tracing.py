"""Traces by OpenTelemetry, which is an extra: without it, or without a receiver, nothing happens.

The receiver and all else is set by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, …);
spans go out as OTLP over HTTP, in batches, from a thread of their own.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog

from proofreel.core.spans import Attribute, Kind, NoTracer, Span, Tracer
from proofreel.errors import JobCancelled, ProofreelError

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = structlog.get_logger()

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_CLOSE_WITHIN_S = 3.0


def open_tracer(service: str) -> Tracer:
    """Return what makes spans in the name of `service`; one that does nothing unless a receiver
    is set and the packages are there.
    """
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or not any(os.environ.get(name) for name in _ENDPOINTS):
        return NoTracer()
    try:
        tracer = _OtelTracer(service)
    except ImportError as error:
        log.warning("traces_off", reason="Install the extra otel for traces.", detail=str(error))
        return NoTracer()
    except Exception as error:  # a variable that makes no sense: work goes on without traces
        log.warning("traces_off", reason="OTEL_* cannot be used.", detail=str(error))
        return NoTracer()
    atexit.register(tracer.close)
    return tracer


class _OtelTracer:
    def __init__(self, service: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        about = {"service.version": version("proofreel")}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            about["service.name"] = service
        self._provider: TracerProvider = TracerProvider(
            resource=Resource.create(about), shutdown_on_exit=False
        )
        exporter = _told_once(OTLPSpanExporter())
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("proofreel", version("proofreel"))
        self._closed = False

    def begin(self, name: str, *, kind: Kind, parent: str | None = None) -> Span:
        return _OtelSpan(self._tracer.start_span(name, context=_context(parent), kind=_kind(kind)))

    @contextmanager
    def span(
        self,
        name: str,
        about: Mapping[str, Attribute],
        *,
        kind: Kind = "internal",
        parent: str | None = None,
    ) -> Iterator[Span]:
        from opentelemetry import context, trace

        inner = self._tracer.start_span(name, context=_context(parent), kind=_kind(kind))
        span = _OtelSpan(inner)
        span.note(about)
        token = context.attach(trace.set_span_in_context(inner))
        try:
            yield span
        except JobCancelled:
            span.note({"proofreel.cancelled": True})
            raise
        except Exception as error:
            span.fail(error.code if isinstance(error, ProofreelError) else type(error).__name__)
            raise
        finally:
            context.detach(token)
            span.end()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()  # it would wait for a silent receiver for half a minute
        last.join(_CLOSE_WITHIN_S)


class _OtelSpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        about = self._span.get_span_context()
        return f"00-{about.trace_id:032x}-{about.span_id:016x}-{about.trace_flags:02x}"

    def name(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, about: Mapping[str, Attribute]) -> None:
        self._span.set_attributes(about)

    def fail(self, code: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR, code))  # no text: it may tell too much
        self._span.set_attribute("error.type", code)

    def end(self) -> None:
        self._span.end()


def _context(parent: str | None) -> Context | None:
    """Return where a span belongs; None: below the block it is made in. Ignores nonsense."""
    if not parent:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent})


def _kind(kind: Kind) -> trace.SpanKind:
    from opentelemetry.trace import SpanKind

    return SpanKind[kind.upper()]


def _told_once(inner: SpanExporter) -> SpanExporter:
    """Return an exporter whose failures make one line until the next success."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    words = _LastWords()

    class ToldOnce(SpanExporter):
        failing = False

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result = inner.export(spans)
            failed = result is not SpanExportResult.SUCCESS
            if failed and not self.failing:
                log.warning("traces_not_delivered", detail=words.last)
            elif self.failing and not failed:
                log.info("traces_delivered_again")
            self.failing = failed
            return result

        def shutdown(self) -> None:
            inner.shutdown()

    return ToldOnce()


class _LastWords(logging.Handler):
    """Keeps the library's latest complaint instead of a line for each."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        library = logging.getLogger("opentelemetry")
        library.handlers, library.propagate = [self], False

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
