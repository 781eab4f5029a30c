"""A receiver of OpenTelemetry traces on loopback: OTLP over HTTP, decoded."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(frozen=True)
class Received:
    """One span as it arrived."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: bool
    seconds: float
    about: dict[str, object]


@dataclass
class Receiver:
    """What came; while `answers` holds a status, that is what senders get."""

    url: str
    answer: int = 200
    requests: int = 0
    spans: list[Received] = field(default_factory=list)

    def of_trace(self, trace_id: str) -> list[Received]:
        return [span for span in self.spans if span.trace_id == trace_id]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                sent = gzip.decompress(sent)
            known.requests += 1
            if known.answer == 200 and self.path == "/v1/traces":
                known.spans += decoded(sent)
            self.send_response(known.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known = Receiver(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, daemon=True).start()
        yield known
        server.shutdown()


def decoded(sent: bytes) -> list[Received]:
    request = ExportTraceServiceRequest.FromString(sent)
    found = []
    for resource in request.resource_spans:
        about = {each.key: each.value.string_value for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            found += [_received(about["service.name"], span) for span in scope.spans]
    return found


def _received(service: str, span: Span) -> Received:
    about: dict[str, object] = {}
    for each in span.attributes:
        kind = each.value.WhichOneof("value")
        about[each.key] = getattr(each.value, kind) if kind else None
    return Received(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        about=about,
    )
