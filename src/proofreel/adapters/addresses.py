"""Which addresses a message to the outside may go to: the guard against server-side forgery.

A name is resolved once, every address it has is judged, and the connection goes to exactly the
addresses that were judged: a name that changes its mind in between gains nothing.
"""

from __future__ import annotations

import queue
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from proofreel.errors import InvalidInput, Unavailable

Resolver = Callable[[str, int], Sequence[str]]  # host, port -> addresses

# IANA's special-purpose registries (RFC 6890 and successors), and 168.63.129.16, where Azure
# answers its own machines. `ipaddress.is_global` of Python 3.11 lets several of these through.
_NOT_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")  # all that is assigned; the rest is refused
_NOT_PUBLIC_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
            "2001:db8::/32",
            "2002::/16",  # 6to4
            "3fff::/20",
        ),
    )
)
# Addresses that stand for the IPv4 address in their last 32 bits: mapped, and NAT64 (RFC 6052).
_WRAPPED_V4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
_PUBLIC_PORTS = (80, 443)
_HOST = re.compile(r"[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?\.?")


class UrlRefused(InvalidInput):
    """Nothing may be sent to that URL; `reason` is the sentence that says why."""

    code = "url_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class NameNotResolved(Unavailable):
    """The host's name has no address now; `reason` is what the resolver said, for the log."""

    code = "name_not_resolved"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return "The receiver's name could not be resolved to an address."

    @property
    def detail(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL taken apart once, with the addresses that may be connected to, in order.

    `authority` is the Host header; `host` is also the name a certificate must be for.
    """

    scheme: str
    host: str
    port: int
    authority: str
    target: str
    addresses: tuple[str, ...]


def is_public(address: str) -> bool:
    """Tell whether `address` is a host of the public Internet; False for what is not an address."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and any(found in network for network in _WRAPPED_V4):
        found = IPv4Address(found.packed[-4:])
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _NOT_PUBLIC_V4)
    return (
        found.scope_id is None
        and found in _GLOBAL_UNICAST_V6
        and not any(found in network for network in _NOT_PUBLIC_V6)
    )


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of `host` as the system gives them. Raises OSError if it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def find_destination(
    url: str, *, allow_private: bool, timeout_s: float, resolver: Resolver = resolve
) -> Destination:
    """Take `url` apart, resolve its host once, and judge every address it has.

    With `allow_private` any address and port will do. Raises UrlRefused, or NameNotResolved if no
    answer comes within `timeout_s`.
    """
    parts = _parse(url)
    scheme, host = parts.scheme, parts.raw_host.decode("ascii")
    port = parts.port if parts.port is not None else 443 if scheme == "https" else 80
    if not allow_private and port not in _PUBLIC_PORTS:
        raise UrlRefused("The receiver's port must be 80 or 443, unless private ones are allowed.")
    addresses = tuple(_resolve_within(timeout_s, resolver, host, port))
    if not addresses:
        raise NameNotResolved("no addresses")
    if not allow_private and not all(map(is_public, addresses)):
        raise UrlRefused("The receiver's address is not a public one, and private ones are off.")
    return Destination(
        scheme=scheme,
        host=host,
        port=port,
        authority=parts.netloc.decode("ascii"),
        target=parts.raw_path.decode("ascii"),
        addresses=addresses,
    )


def redact_url(url: str) -> str:
    """Return `url` fit for a log: scheme, host and port; paths and queries often hold a secret."""
    try:
        parts = _parse(url, keep_userinfo=True)
    except UrlRefused:
        return "(not a usable URL)"
    rest = "/…" if parts.raw_path != b"/" or parts.fragment else "/"
    return f"{parts.scheme}://{parts.netloc.decode('ascii')}{rest}"


def _parse(url: str, *, keep_userinfo: bool = False) -> httpx.URL:
    try:
        parts = httpx.URL(url)
        host = parts.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError) as exc:
        raise UrlRefused("The receiver's URL cannot be read.") from exc
    if parts.scheme not in ("http", "https"):
        raise UrlRefused("The receiver's URL must start with http:// or https://.")
    if parts.userinfo and not keep_userinfo:
        raise UrlRefused("The receiver's URL must not hold a user name or password.")
    in_range = parts.port is None or 0 < parts.port < 65536
    if not (_HOST.fullmatch(host) or _is_v6(host)) or not in_range:
        raise UrlRefused("The receiver's URL does not name a host that can be reached.")
    return parts


def _is_v6(host: str) -> bool:
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _resolve_within(timeout_s: float, resolver: Resolver, host: str, port: int) -> Sequence[str]:
    """Resolve in a thread of its own: the system's resolver takes no time limit."""
    answers: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(host, port))
        except (OSError, UnicodeError) as exc:  # UnicodeError: a label over 63 characters
            answers.put(exc)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise NameNotResolved(f"no answer within {timeout_s:g} s") from None
    if isinstance(answer, Exception):
        raise NameNotResolved(str(answer)) from answer
    return answer
