"""A proxy between us and the S3 server that does what networks and services do on bad days."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["refuse", "stall", "503", "cut", "damage", "etag", "lost_answer"]
FAULTS: tuple[Fault, ...] = ("refuse", "stall", "503", "cut", "damage", "etag", "lost_answer")
_HOP_BY_HOP = ("connection", "transfer-encoding", "keep-alive")
_BUSY = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


@dataclass
class Requests:
    """What came through, and what is done to it: `choose` gets method and path with query."""

    upstream: str
    choose: Callable[[str, str], Fault | None] = lambda method, path: None
    stall_s: float = 30.0
    seen: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)  # the faults, as "fault METHOD"

    def fail_next(self, *faults: Fault, only: str = "") -> None:
        """Do `faults` to the next requests whose method and path contain `only`, one each."""
        left, lock = list(faults), threading.Lock()

        def choose(method: str, path: str) -> Fault | None:
            with lock:
                return left.pop(0) if left and only in f"{method} {path}" else None

        self.choose = choose


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests: Requests  # set on a subclass of its own for every proxy

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _pass_on(self) -> None:
        requests, method = self.requests, self.command
        requests.seen.append(f"{method} {self.path}")
        fault = requests.choose(method, self.path)
        if fault:
            requests.done.append(f"{fault} {method}")
        self.close_connection = True
        if fault == "refuse":
            return
        size = int(self.headers.get("Content-Length") or 0)
        if fault == "cut" and size:
            self.rfile.read(size // 2)
            return
        body = self.rfile.read(size)
        if fault == "stall":
            time.sleep(requests.stall_s)
            return
        if fault == "503":
            self._answer(503, {"Content-Type": "application/xml"}, _BUSY, len(_BUSY))
            return
        if fault == "damage" and body:
            body = _with_a_wrong_byte(body)
        status, headers, answer = self._ask(body)
        length = int(headers.get("Content-Length", len(answer)))
        if fault == "lost_answer":
            return
        if fault == "etag" and "Etag" in headers:
            headers["Etag"] = '"00000000000000000000000000000000"'
        if fault == "damage" and answer and not body:
            answer = _with_a_wrong_byte(answer)
        if fault == "cut":
            answer = answer[: len(answer) // 2]
        self._answer(status, headers, answer, length)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.requests.upstream).netloc, timeout=60)
        try:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in (*_HOP_BY_HOP, "expect")
            }
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            kept = {
                name.title(): value
                for name, value in answer.getheaders()
                if name.lower() not in _HOP_BY_HOP
            }
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, length: int) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815 - the library's names


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that gave up is what these tests are about."""


def _with_a_wrong_byte(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@contextmanager
def fault_proxy(upstream: str) -> Iterator[tuple[str, Requests]]:
    """Run the proxy for the length of the block; yield its endpoint and its requests."""
    requests = Requests(upstream)
    handler = type("Handler", (_Handler,), {"requests": requests})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
