"""Traces as the rest of the program sees them: spans that may go nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

Attribute = str | int | float | bool
Kind = Literal["internal", "server", "consumer", "client"]


class Span(Protocol):
    """Something that takes time. `traceparent` names it as W3C Trace Context does, None: nobody
    listens.
    """

    @property
    def traceparent(self) -> str | None: ...

    def name(self, name: str) -> None:
        """Call it something else, now that more is known."""

    def note(self, about: Mapping[str, Attribute]) -> None:
        """Add to what is known about it."""

    def fail(self, code: str) -> None:
        """Say that it failed, and by which code."""

    def end(self) -> None:
        """It is over. Once."""


class Tracer(Protocol):
    """Makes spans. None of its methods raises or waits."""

    def begin(self, name: str, *, kind: Kind, parent: str | None = None) -> Span:
        """Begin a span of its own or, with a traceparent as `parent`, below that one."""

    def span(
        self,
        name: str,
        about: Mapping[str, Attribute],
        *,
        kind: Kind = "internal",
        parent: str | None = None,
    ) -> AbstractContextManager[Span]:
        """A span around the block, below `parent` or else the block around it; fails with it."""

    def close(self) -> None:
        """Send what is left, but do not wait for long."""


def log_context(span: Span) -> dict[str, str]:
    """Return what a line of the log says about `span`: its trace, nothing if nobody listens."""
    return {"trace_id": span.traceparent.split("-")[1]} if span.traceparent else {}


class _NoSpan:
    traceparent: str | None = None

    def name(self, name: str) -> None:
        pass

    def note(self, about: Mapping[str, Attribute]) -> None:
        pass

    def fail(self, code: str) -> None:
        pass

    def end(self) -> None:
        pass


class NoTracer:
    """Nobody wants to know."""

    def begin(self, name: str, *, kind: Kind, parent: str | None = None) -> Span:
        return _NoSpan()

    @contextmanager
    def span(
        self,
        name: str,
        about: Mapping[str, Attribute],
        *,
        kind: Kind = "internal",
        parent: str | None = None,
    ) -> Iterator[Span]:
        yield _NoSpan()

    def close(self) -> None:
        pass
