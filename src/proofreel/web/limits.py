"""How often one address may try a wrong key."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

FAILURES_PER_MINUTE = 20
_ADDRESSES_KEPT = 10_000


class FailureLimiter:
    """A token bucket per address: `burst` failures at once, then one every `60 / burst` seconds.

    Safe between threads. Remembers at most 10,000 addresses, the latest ones.
    """

    def __init__(
        self, burst: int = FAILURES_PER_MINUTE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = float(burst)
        self._refill_per_s = burst / 60.0
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def note_failure(self, address: str | None) -> int:
        """Count a failure of `address`; return 0, or the seconds to wait once it had too many."""
        name = _network(address)
        now = self._clock()
        with self._lock:
            tokens, at = self._buckets.pop(name, (self._burst, now))
            tokens = min(self._burst, tokens + (now - at) * self._refill_per_s)
            wait_s = 0 if tokens >= 1 else math.ceil((1 - tokens) / self._refill_per_s)
            self._buckets[name] = (tokens if wait_s else tokens - 1, now)
            if len(self._buckets) > _ADDRESSES_KEPT:
                self._buckets.popitem(last=False)
        return wait_s


def _network(address: str | None) -> str:
    """Return what shares one bucket: an IPv4 address, or the /64 that one IPv6 host owns."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)
