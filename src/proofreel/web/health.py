"""Whether the parts that the service stands on answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from proofreel.adapters.jobs import Jobs
from proofreel.adapters.storage import Storage
from proofreel.errors import ProofreelError

KEPT_S = 2.0  # anyone may ask, and the storage answers by writing: not at every request


class HealthChecks:
    """Asks every part, at most once in `KEPT_S`. Safe between threads."""

    def __init__(
        self, jobs: Jobs, storage: Storage, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._checks = {"database": jobs.ping, "storage": storage.check}
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}
        self._asked_at_s = float("-inf")

    def ask(self) -> dict[str, str]:
        """Return `ok` or a sentence for every part."""
        with self._lock:
            if self._clock() - self._asked_at_s >= KEPT_S:
                self._found = {name: _outcome(check) for name, check in self._checks.items()}
                self._asked_at_s = self._clock()
            return dict(self._found)


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except ProofreelError as exc:
        return str(exc)
    return "ok"
