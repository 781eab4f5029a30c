"""One POST over HTTP to addresses that were judged before, within one time limit for all of it.

No redirect is followed, no proxy asked, no connection kept, and the name is not resolved again.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping, Sequence

import httpcore

from proofreel.adapters.addresses import Destination
from proofreel.errors import Unavailable

_BODY_BYTES = 1024  # of an answer: enough to let the receiver finish in peace, nobody looks at it
_WRITE_BYTES = 4096  # small enough for the system to take at once, so that the limit holds


class NoAnswer(Unavailable):
    """The receiver gave no HTTP answer; `reason` is a sentence, `cause` is for the log."""

    code = "no_answer"

    def __init__(self, reason: str, cause: str) -> None:
        super().__init__(reason, cause)
        self.reason, self.cause = reason, cause

    def __str__(self) -> str:
        return self.reason

    @property
    def detail(self) -> str:
        return self.cause


class Deadline:
    """A moment `timeout_s` seconds from now, by a clock that never jumps."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end_s = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Return the seconds left, more than 0. Raises httpcore.ReadTimeout if none are."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise httpcore.ReadTimeout("the time is up")
        return left_s


def post(
    destination: Destination,
    *,
    headers: Mapping[str, str],
    body: bytes,
    deadline: Deadline,
    tls: ssl.SSLContext | None = None,
    network: httpcore.NetworkBackend | None = None,
) -> int:
    """Send `body` and return the status of the answer. Raises NoAnswer.

    `tls` is for https (None: as httpcore has it). `network` makes the connections.
    """
    pinned = _PinnedNetwork(destination.addresses, deadline, network or httpcore.SyncBackend())
    url = httpcore.URL(
        scheme=destination.scheme,
        host=destination.host,
        port=destination.port,
        target=destination.target,
    )
    sent = {"Host": destination.authority, "Connection": "close", **headers}
    try:
        with (
            httpcore.ConnectionPool(ssl_context=tls, network_backend=pinned) as pool,
            pool.stream("POST", url, headers=list(sent.items()), content=body) as answer,
        ):
            _let_finish(answer)
            return answer.status
    except httpcore.TimeoutException as exc:
        reason = f"The receiver did not answer within {deadline.timeout_s:g} s."
        raise NoAnswer(reason, repr(exc)) from exc
    except httpcore.ConnectError as exc:
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in exc.args):
            raise NoAnswer("The receiver's certificate is not trusted.", repr(exc)) from exc
        raise NoAnswer("The receiver could not be reached.", repr(exc)) from exc
    except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
        raise NoAnswer("The receiver broke off without an answer.", repr(exc)) from exc


def _let_finish(answer: httpcore.Response) -> None:
    size_bytes = 0
    try:
        for chunk in answer.iter_stream():
            size_bytes += len(chunk)
            if size_bytes >= _BODY_BYTES:
                return
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return  # the status is the answer, however its body ends


class _PinnedNetwork(httpcore.NetworkBackend):
    """Connects to the given addresses in turn, whatever name is asked for."""

    def __init__(
        self, addresses: Sequence[str], deadline: Deadline, inner: httpcore.NetworkBackend
    ) -> None:
        self._addresses, self._deadline, self._inner = addresses, deadline, inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for index, address in enumerate(self._addresses):
            share_s = self._deadline.left_s() / (len(self._addresses) - index)
            try:
                stream = self._inner.connect_tcp(
                    address, port, share_s, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return _LimitedStream(stream, self._deadline)
        raise failure or httpcore.ConnectError("no address to connect to")


class _LimitedStream(httpcore.NetworkStream):
    """A stream whose every wait ends at the deadline: dripping bytes gains no time."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_BYTES):
            self._inner.write(buffer[start : start + _WRITE_BYTES], self._deadline.left_s())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left_s())
        return _LimitedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)
