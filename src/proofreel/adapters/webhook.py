"""Webhooks: what a message says, how it is signed, one try of its delivery, when the next is due.

Messages and signatures follow Standard Webhooks (https://www.standardwebhooks.com), version 1.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

import httpcore
import httpx
import structlog
from standardwebhooks.webhooks import Webhook

from proofreel.adapters.addresses import (
    NameNotResolved,
    Resolver,
    UrlRefused,
    find_destination,
    redact_url,
    resolve,
)
from proofreel.adapters.pinned_http import Deadline, NoAnswer, post
from proofreel.errors import Misconfigured

WebhookEvent = Literal["job.completed", "job.failed"]

# Seconds to wait after the first, second, … failed try: eleven tries over not quite two days.
_DELAYS_S = (5, 30, 120, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)
_SECRET_PREFIX = "whsec_"  # noqa: S105  # says what follows, is no secret
_GONE = 410  # Standard Webhooks: the receiver wants no more

_log = structlog.get_logger()


class WebhookSecretInvalid(Misconfigured):
    """The signing secret starts as Standard Webhooks writes them but does not go on so."""

    code = "webhook_secret_invalid"

    def __str__(self) -> str:
        return "The webhook secret starts with whsec_, but what follows is not Base64."


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """How one try went. `error` is a sentence, None if `delivered`.

    `permanent`: no later try can go better, so none should be made.
    """

    status_code: int | None
    error: str | None
    delivered: bool
    permanent: bool


def next_delay_s(tries: int) -> int | None:
    """Return the seconds from failed try number `tries` (from 1) to the next; None: give up."""
    if tries < 1:
        raise ValueError(f"tries are counted from 1, got {tries}")
    return _DELAYS_S[tries - 1] if tries <= len(_DELAYS_S) else None


def webhook_payload(
    *,
    event: WebhookEvent,
    at_ms: int,
    job_id: str,
    status: str,
    result: Mapping[str, object] | None = None,
    error: object = None,
) -> dict[str, object]:
    """Return the message about a job that ended at `at_ms` (epoch milliseconds, UTC).

    What is in `data` stands at the top level too, where receivers of old read it. It has `error` if
    one is given, else `result`.
    """
    outcome: dict[str, object] = {"result": result} if error is None else {"error": error}
    data = {"job_id": job_id, "status": status, **outcome}
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return {"type": event, "timestamp": at.replace("+00:00", "Z"), "data": data, **data}


class WebhookSender:
    """Sends messages, each within `timeout_s` seconds in all.

    `secret` is `whsec_` and Base64; several of them with spaces between sign side by side while one
    replaces another; any other text is the key itself, as UTF-8; None: messages are not signed.
    Without `allow_private` only public addresses on ports 80 and 443 are sent to. `resolver`, `now`
    and `network` are the system's unless given. Raises WebhookSecretInvalid.
    """

    def __init__(
        self,
        *,
        secret: str | None,
        allow_private: bool,
        timeout_s: float = 10,
        resolver: Resolver = resolve,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        network: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._signers = [Webhook(key) for key in _keys(secret)] if secret else []
        self._allow_private, self._timeout_s = allow_private, timeout_s
        self._resolver, self._now, self._network = resolver, now, network

    def send(self, url: str, *, message_id: str, payload: Mapping[str, object]) -> DeliveryOutcome:
        """Try once to deliver `payload` to `url`. `message_id` stays the same on every try."""
        body = json.dumps(payload, separators=(",", ":"), allow_nan=False).encode()
        outcome, detail = self._try(url, self._headers(message_id, body), body)
        if not outcome.delivered:
            _log.info(
                "webhook_not_delivered",
                message_id=message_id,
                url=redact_url(url),
                error=outcome.error,
                detail=detail,
            )
        return outcome

    def _try(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[DeliveryOutcome, str]:
        deadline = Deadline(self._timeout_s)
        try:
            destination = find_destination(
                url,
                allow_private=self._allow_private,
                timeout_s=self._timeout_s,
                resolver=self._resolver,
            )
            status_code = post(
                destination,
                headers=headers,
                body=body,
                deadline=deadline,
                tls=self._tls if destination.scheme == "https" else None,
                network=self._network,
            )
        except UrlRefused as exc:
            return DeliveryOutcome(None, str(exc), delivered=False, permanent=True), exc.detail
        except (NameNotResolved, NoAnswer) as exc:
            return DeliveryOutcome(None, str(exc), delivered=False, permanent=False), exc.detail
        return _judge(status_code), ""

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        at = self._now().astimezone(UTC)
        headers = {
            "User-Agent": "Proofreel",
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
        }
        if self._signers:
            text = body.decode("ascii")  # as json.dumps writes it
            signatures = (signer.sign(message_id, at, text) for signer in self._signers)
            headers["webhook-signature"] = " ".join(signatures)
        return headers

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()  # heeds SSL_CERT_FILE, for receivers with a CA at home


def _judge(status_code: int) -> DeliveryOutcome:
    if 200 <= status_code < 300:
        return DeliveryOutcome(status_code, None, delivered=True, permanent=False)
    said = f"The receiver answered {status_code}"
    if status_code == _GONE:
        error = f"{said}: it wants no more messages."
    elif 300 <= status_code < 400:
        error = f"{said}, a redirect; those are not followed."
    else:
        error = f"{said}."
    return DeliveryOutcome(status_code, error, delivered=False, permanent=status_code == _GONE)


def _keys(secret: str) -> Sequence[bytes]:
    words = secret.split()
    if not words or not all(word.startswith(_SECRET_PREFIX) for word in words):
        return [secret.encode()]
    return [_decoded(word.removeprefix(_SECRET_PREFIX)) for word in words]


def _decoded(text: str) -> bytes:
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise WebhookSecretInvalid from exc
    if not key:
        raise WebhookSecretInvalid
    return key
