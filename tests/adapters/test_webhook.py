from __future__ import annotations

import base64
import json
import pickle
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpcore
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from structlog.testing import capture_logs

from proofreel.adapters.pinned_http import NoAnswer
from proofreel.adapters.webhook import (
    DeliveryOutcome,
    WebhookSecretInvalid,
    WebhookSender,
    next_delay_s,
    webhook_payload,
)

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()
PUBLIC = "93.184.216.34"
PAYLOAD = {"job_id": "j1", "text": "Grüße, 世界"}

# Made for these tests, for the name hooks.example.test, valid until 2120; it guards nothing.
CERTIFICATE = """
MIIBwTCCAWigAwIBAgIUVvJljvO7+tlgA4uRMDg56ItfdQUwCgYIKoZIzj0EAwIwHTEbMBkGA1UEAwwSaG9va3MuZXhhbXBs
ZS50ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAdMRswGQYDVQQDDBJob29rcy5leGFtcGxlLnRlc3Qw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ8oKyPbwpXexyHgFcVr+9Yf3VxoXr0rbxggOAlirZinfDIKPjGcccx5aG+bAm/
Az9rm6Nc6RAFndxO0PSbh3HAo4GDMIGAMB0GA1UdEQQWMBSCEmhvb2tzLmV4YW1wbGUudGVzdDAPBgNVHRMBAf8EBTADAQH/
MA4GA1UdDwEB/wQEAwIChDAdBgNVHQ4EFgQU/Mkj9ZjQUS0UyGp+P+6SIh6AtNUwHwYDVR0jBBgwFoAU/Mkj9ZjQUS0UyGp+
P+6SIh6AtNUwCgYIKoZIzj0EAwIDRwAwRAIgdLpF6AZySGX59QgZkHPf15X5fOwxkPSpJQQ/SIIgFikCIFJm5YyJCnSUQFkx
IllA/5zK2RQCVGJpZ1pGm6RF+AvK"""
CERTIFICATE_KEY = """
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDWK1zgUtPxFDtv9XkqkgsfEqNPXUF+eLCkKYEVdl/3ShRANC
AAQ8oKyPbwpXexyHgFcVr+9Yf3VxoXr0rbxggOAlirZinfDIKPjGcccx5aG+bAm/Az9rm6Nc6RAFndxO0PSbh3HA"""


class Receiver(ThreadingHTTPServer):
    """A receiver on this machine that keeps what it was sent and answers `status`."""

    daemon_threads = True

    def __init__(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.answer_headers = status, headers or {}
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.names_asked: list[str | None] = []  # by TLS, before any HTTP
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ssl.SSLError):  # a sender that does not trust us
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver = self.server
        assert isinstance(receiver, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.received.append((self.path, headers, body))
        self.send_response(receiver.status)
        for name, value in receiver.answer_headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    with running(server):
        yield server


@contextmanager
def raw_receiver(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A receiver that reads the request and then does what `answer` does; its URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            answer(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = False  # closing the server waits for the handlers

    server = Server(("127.0.0.1", 0), Handler)
    with running(server):
        yield f"http://127.0.0.1:{server.server_address[1]}/"


class Rerouted(httpcore.SyncBackend):
    """Notes every address that is connected to and goes to the receiver on this machine instead."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port
        self.connected: list[tuple[str, int]] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self.connected.append((host, port))
        if self.port is None:
            raise httpcore.ConnectError("nobody there")
        return super().connect_tcp("127.0.0.1", self.port, timeout, local_address, socket_options)


def sender(
    secret: str | None = SECRET, *, allow_private: bool = True, timeout_s: float = 30
) -> WebhookSender:
    return WebhookSender(secret=secret, allow_private=allow_private, timeout_s=timeout_s)


def send(url: str, by: WebhookSender | None = None, message_id: str = "msg_1") -> DeliveryOutcome:
    return (by or sender()).send(url, message_id=message_id, payload=PAYLOAD)


def test_a_delivered_message_is_signed_json_that_the_published_verifier_accepts(
    receiver: Receiver,
) -> None:
    outcome = send(receiver.url)

    assert outcome == DeliveryOutcome(200, None, delivered=True, permanent=False)
    ((path, headers, body),) = receiver.received
    assert path == "/hook"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"127.0.0.1:{receiver.server_port}"
    assert headers["webhook-id"] == "msg_1"
    assert Webhook(SECRET).verify(body, headers) == PAYLOAD


def test_a_changed_byte_and_another_key_are_told(receiver: Receiver) -> None:
    send(receiver.url)
    ((_, headers, body),) = receiver.received

    for changed in (body.replace(b"j1", b"j2"), body + b" "):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(changed, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, {**headers, "webhook-id": "msg_2"})
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET).verify(body, headers)


def test_a_message_sent_again_after_its_time_is_told(receiver: Receiver) -> None:
    six_minutes_ago = datetime.now(UTC) - timedelta(minutes=6)
    send(
        receiver.url,
        WebhookSender(secret=SECRET, allow_private=True, now=lambda: six_minutes_ago),
    )
    ((_, headers, body),) = receiver.received

    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET).verify(body, headers)
    renewed = {**headers, "webhook-timestamp": str(int(datetime.now(UTC).timestamp()))}
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(SECRET).verify(body, renewed)


def test_every_try_has_the_same_id_and_a_fresh_time(receiver: Receiver) -> None:
    start = datetime.now(UTC)
    times = iter((start, start + timedelta(seconds=5)))
    by = WebhookSender(secret=SECRET, allow_private=True, now=lambda: next(times))
    for _ in range(2):
        send(receiver.url, by)

    first, second = (headers for _, headers, _ in receiver.received)
    assert first["webhook-id"] == second["webhook-id"] == "msg_1"
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 5
    for _, headers, body in receiver.received:
        Webhook(SECRET).verify(body, headers)


def test_the_time_does_not_depend_on_the_time_zone(receiver: Receiver) -> None:
    now = datetime.now(timezone(timedelta(hours=9)))
    send(receiver.url, WebhookSender(secret=SECRET, allow_private=True, now=lambda: now))
    ((_, headers, body),) = receiver.received
    Webhook(SECRET).verify(body, headers)


def test_while_keys_change_a_message_is_signed_with_each(receiver: Receiver) -> None:
    send(receiver.url, sender(f"{SECRET} {OTHER_SECRET}"))
    ((_, headers, body),) = receiver.received
    for secret in (SECRET, OTHER_SECRET):
        Webhook(secret).verify(body, headers)


@pytest.mark.parametrize("secret", ["plain words as a secret", "пароль", "c2VjcmV0"])
def test_any_other_text_is_the_key_itself(receiver: Receiver, secret: str) -> None:
    send(receiver.url, sender(secret))
    ((_, headers, body),) = receiver.received
    Webhook(secret.encode()).verify(body, headers)


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_a_message_is_not_signed(receiver: Receiver, secret: str | None) -> None:
    assert send(receiver.url, sender(secret)).delivered
    ((_, headers, _),) = receiver.received
    assert headers["webhook-id"] == "msg_1"
    assert "webhook-signature" not in headers


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not/base64!", f"{SECRET} whsec_ü"])
def test_a_broken_secret_stops_at_the_start(secret: str) -> None:
    with pytest.raises(WebhookSecretInvalid) as caught:
        sender(secret)
    assert str(caught.value) == (
        "The webhook secret starts with whsec_, but what follows is not Base64."
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


def test_the_message_about_a_finished_job_reads_the_same_in_both_places() -> None:
    result = {"srt_url": "https://proofreel.example/v1/jobs/j1/files/srt"}

    message = webhook_payload(
        event="job.completed",
        at_ms=1_767_225_600_007,
        job_id="j1",
        status="completed",
        result=result,
    )

    assert message == {
        "type": "job.completed",
        "timestamp": "2026-01-01T00:00:00.007Z",
        "data": {"job_id": "j1", "status": "completed", "result": result},
        "job_id": "j1",
        "status": "completed",
        "result": result,
    }


def test_the_message_about_a_failed_job_has_an_error_and_no_result() -> None:
    message = webhook_payload(
        event="job.failed", at_ms=0, job_id="j1", status="failed", error={"code": "no_audio"}
    )

    assert message["timestamp"] == "1970-01-01T00:00:00.000Z"
    assert message["data"] == {"job_id": "j1", "status": "failed", "error": {"code": "no_audio"}}
    assert message["error"] == {"code": "no_audio"}
    assert "result" not in message


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(receiver: Receiver, status: int) -> None:
    receiver.status = status
    assert send(receiver.url) == DeliveryOutcome(status, None, delivered=True, permanent=False)


@pytest.mark.parametrize("status", [304, 400, 401, 404, 409, 429, 500, 503])
def test_any_other_answer_is_to_be_tried_again(receiver: Receiver, status: int) -> None:
    receiver.status = status
    outcome = send(receiver.url)
    assert (outcome.status_code, outcome.delivered, outcome.permanent) == (status, False, False)
    assert f"The receiver answered {status}" in str(outcome.error)


def test_a_receiver_that_is_gone_is_not_asked_again(receiver: Receiver) -> None:
    receiver.status = 410
    outcome = send(receiver.url)
    assert (outcome.status_code, outcome.delivered, outcome.permanent) == (410, False, True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    elsewhere = Receiver()
    receiver.status, receiver.answer_headers = status, {"Location": elsewhere.url}
    with running(elsewhere):
        outcome = send(receiver.url)

    assert (outcome.status_code, outcome.delivered, outcome.permanent) == (status, False, False)
    assert len(receiver.received) == 1
    assert elsewhere.received == []


def test_a_receiver_on_this_machine_is_refused_unless_allowed(receiver: Receiver) -> None:
    for url in (receiver.url, "http://127.0.0.1/", "http://[::1]/", "file:///etc/passwd"):
        outcome = send(url, sender(allow_private=False))
        assert (outcome.status_code, outcome.delivered, outcome.permanent) == (None, False, True)
    assert receiver.received == []


def test_proxies_in_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Receiver()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    with running(proxy):
        assert send(receiver.url).delivered
    assert len(receiver.received) == 1
    assert proxy.received == []


def test_a_name_that_turns_to_this_machine_after_the_check_gains_nothing(
    receiver: Receiver,
) -> None:
    """DNS rebinding: public when it is judged, this machine when it is connected to."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return (PUBLIC,) if len(asked) % 2 else ("127.0.0.1",)

    network = Rerouted()
    by = WebhookSender(secret=SECRET, allow_private=False, resolver=rebinding, network=network)

    outcomes = [send("http://rebind.example.test/", by) for _ in range(100)]

    assert asked == ["rebind.example.test"] * 100  # once for each message
    assert network.connected == [(PUBLIC, 80)] * 50
    assert [outcome.error for outcome in outcomes[:2]] == [
        "The receiver could not be reached.",
        "The receiver's address is not a public one, and private ones are off.",
    ]
    assert not any(outcome.delivered for outcome in outcomes)
    assert receiver.received == []


def test_the_next_address_is_tried_where_one_is_dead(receiver: Receiver) -> None:
    by = WebhookSender(
        secret=None, allow_private=True, resolver=lambda host, port: ("127.0.0.2", "127.0.0.1")
    )
    assert send(f"http://two.example.test:{receiver.server_port}/", by).delivered


@pytest.fixture
def tls_receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    trusted, both = tmp_path / "trusted.pem", tmp_path / "both.pem"
    trusted.write_text(_pem("CERTIFICATE", CERTIFICATE))
    both.write_text(_pem("PRIVATE KEY", CERTIFICATE_KEY) + trusted.read_text())
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    server = Receiver()
    context.sni_callback = lambda sock, name, _: server.names_asked.append(name)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    with running(server):
        yield server


def _pem(kind: str, text: str) -> str:
    return f"-----BEGIN {kind}-----{text}\n-----END {kind}-----\n"


def test_tls_names_the_host_while_connecting_to_the_judged_address(tls_receiver: Receiver) -> None:
    network = Rerouted(tls_receiver.server_port)
    by = WebhookSender(
        secret=SECRET,
        allow_private=False,
        resolver=lambda host, port: (PUBLIC,),
        network=network,
    )

    assert send("https://hooks.example.test/x?y=1", by).delivered

    assert network.connected == [(PUBLIC, 443)]
    ((path, headers, body),) = tls_receiver.received
    assert path == "/x?y=1"
    assert headers["host"] == "hooks.example.test"
    assert tls_receiver.names_asked == ["hooks.example.test"]
    Webhook(SECRET).verify(body, headers)


def test_a_certificate_for_another_name_is_not_trusted(tls_receiver: Receiver) -> None:
    by = WebhookSender(
        secret=SECRET,
        allow_private=False,
        resolver=lambda host, port: (PUBLIC,),
        network=Rerouted(tls_receiver.server_port),
    )

    outcome = send("https://other.example.test/", by)

    assert outcome.error == "The receiver's certificate is not trusted."
    assert not outcome.permanent
    assert tls_receiver.received == []


def test_nobody_listening_is_to_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcome = send(f"http://127.0.0.1:{port}/")
    assert outcome == DeliveryOutcome(
        None, "The receiver could not be reached.", delivered=False, permanent=False
    )


def test_a_receiver_that_hangs_up_or_talks_nonsense_is_to_be_tried_again() -> None:
    for answer in (b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000):
        with raw_receiver(lambda peer, answer=answer: peer.sendall(answer)) as url:  # type: ignore[misc]
            outcome = send(url)
        assert outcome.status_code is None
        assert (outcome.delivered, outcome.permanent) == (False, False)
        assert outcome.error == "The receiver broke off without an answer."


def drip(peer: socket.socket) -> None:
    """Send a header for ever, a byte at a time, until the other side goes."""
    enough = threading.Event()
    try:
        peer.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not enough.wait(0.02):
            peer.sendall(b"x")
    except OSError:
        return


def test_a_receiver_that_drips_its_answer_gains_no_time() -> None:
    """Each byte comes well within the limit; only a limit on the whole ends it."""
    with raw_receiver(drip) as url:
        outcome = send(url, sender(timeout_s=0.3))
    assert outcome == DeliveryOutcome(
        None, "The receiver did not answer within 0.3 s.", delivered=False, permanent=False
    )


def test_a_receiver_that_says_nothing_is_not_waited_for() -> None:
    with raw_receiver(lambda peer: _wait_for_the_end(peer)) as url:
        outcome = send(url, sender(timeout_s=0.2))
    assert outcome.error == "The receiver did not answer within 0.2 s."


def _wait_for_the_end(peer: socket.socket) -> None:
    while peer.recv(65536):
        pass


def test_an_endless_body_is_left_after_a_little() -> None:
    sent_bytes = []

    def flood(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                sent_bytes.append(peer.send(b"x" * 65536))
        except OSError:
            return

    with raw_receiver(flood) as url:
        outcome = send(url)

    assert outcome.delivered
    assert sum(sent_bytes) < 64 * 2**20  # what the system's own buffers took


def test_a_body_that_breaks_off_does_not_undo_a_delivery() -> None:
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx"
    with raw_receiver(lambda peer: peer.sendall(broken)) as url:
        assert send(url).delivered


def test_a_long_message_arrives_whole(receiver: Receiver) -> None:
    payload = {"text": "ab" * 200_000}
    sender().send(receiver.url, message_id="msg_1", payload=payload)
    ((_, _, body),) = receiver.received
    assert json.loads(body) == payload


def test_the_log_of_a_failed_try_shows_neither_path_nor_query_nor_key(receiver: Receiver) -> None:
    receiver.status = 500
    with capture_logs() as logs:
        send(f"{receiver.url}/canary?token=canary")
        send("http://canary:canary@127.0.0.1/")
        send("http://127.0.0.1:1/canary")

    assert [entry["event"] for entry in logs] == ["webhook_not_delivered"] * 3
    assert logs[0]["url"] == f"http://127.0.0.1:{receiver.server_port}/…"
    assert logs[0]["error"] == "The receiver answered 500."
    assert "canary" not in str(logs)
    assert SECRET not in str(logs)


def test_tries_are_spread_over_two_days_and_then_end() -> None:
    delays: list[int] = []
    while (delay_s := next_delay_s(len(delays) + 1)) is not None:
        delays.append(delay_s)

    assert delays[:3] == [5, 30, 120]
    assert delays == sorted(delays)
    assert sum(delays) == 168_155  # 46.7 hours
    assert next_delay_s(1_000) is None
    with pytest.raises(ValueError, match="counted from 1"):
        next_delay_s(0)


def test_the_error_of_a_try_survives_pickling() -> None:
    error = NoAnswer("The receiver could not be reached.", "ConnectError('refused')")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert (str(again), again.detail) == (str(error), error.detail)
