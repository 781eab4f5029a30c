"""Whether the parts that the service stands on answer, asked seldom and never for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from structlog import get_logger

from proofreel.errors import ProofreelError

KEPT_S = 2.0  # anyone may ask, and the storage answers by writing: not at every request
DEADLINE_S = 5.0  # for each part; a share that hangs must not hang the probe

Check = Callable[[], str]
"""Returns how a part is as a sentence for people; raises ProofreelError if it is not well."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is; `message` is a sentence for people: no path, no address, no secret."""

    status: Literal["ok", "failed"]
    message: str
    detail: str = field(default="", compare=False)  # for the log alone


class _Part:
    """Asks one part in a thread of its own, and not again before that has come back."""

    def __init__(self, name: str, check: Check) -> None:
        self._name, self._check = name, check
        self._done = threading.Event()
        self._done.set()
        self._found = Finding("failed", "It was not asked yet.")

    def begin(self) -> None:
        """Start asking, unless an earlier question is still open."""
        if self._done.is_set():
            self._done.clear()
            threading.Thread(target=self._ask, daemon=True, name=f"check-{self._name}").start()

    def finding(self, within_s: float) -> Finding:
        """Return the answer if it comes in time."""
        if self._done.wait(max(0.0, within_s)):
            return self._found
        return Finding("failed", "It does not answer.")

    def _ask(self) -> None:
        try:
            self._found = Finding("ok", self._check())
        except ProofreelError as error:
            self._found = Finding("failed", str(error), error.detail)
        except Exception:
            log.exception("check_crashed", check=self._name)
            self._found = Finding("failed", "It could not be looked at; see the log.")
        finally:
            self._done.set()


class HealthChecks:
    """Asks every part side by side, at most once in `KEPT_S`. Safe between threads."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        clock: Callable[[], float] = time.monotonic,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._parts = {name: _Part(name, check) for name, check in checks.items()}
        self._clock, self._deadline_s = clock, deadline_s
        self._lock = threading.Lock()
        self._found: dict[str, Finding] = {}
        self._asked_at_s = float("-inf")

    def ask(self) -> dict[str, Finding]:
        """Return a finding for every part, within `deadline_s`."""
        if not self._lock.acquire(blocking=not self._found):
            return self._found  # somebody looks anew: no thread of ours waits for that
        try:
            if self._clock() - self._asked_at_s >= KEPT_S:
                self._found = self._look()
                self._asked_at_s = self._clock()
            return self._found
        finally:
            self._lock.release()

    def _look(self) -> dict[str, Finding]:
        until_s = time.monotonic() + self._deadline_s
        for part in self._parts.values():
            part.begin()
        looked: dict[str, Finding] = {}
        for name, part in self._parts.items():
            found = looked[name] = part.finding(until_s - time.monotonic())
            was = self._found.get(name, Finding("ok", "")).status
            if found.status != was:  # the log tells changes, not every probe
                say = log.warning if found.status == "failed" else log.info
                told = {"status": found.status, "reason": found.message, "detail": found.detail}
                say("check_changed", check=name, **told)
        return looked
