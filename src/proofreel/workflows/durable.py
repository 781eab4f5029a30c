"""Hops as checkpointed steps of a workflow, with progress, cancellation and retries."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from dbos import DBOS, EnqueueOptions, PortableWorkflowError
from pydantic import TypeAdapter

from proofreel.adapters.database import DatabaseUnavailable
from proofreel.adapters.jobs import job_prefix
from proofreel.adapters.ledger import Ledger
from proofreel.adapters.queue import APPLICATION_VERSION, SCALE, workflow_id
from proofreel.adapters.webhook import WebhookSender
from proofreel.core.jobs import Failure, JobResult, overall_percent
from proofreel.core.model import JobSpec
from proofreel.core.spans import Attribute, NoTracer, Tracer
from proofreel.errors import JobCancelled, ProofreelError
from proofreel.workflows.announce import Announcer
from proofreel.workflows.results import Probed, Scaled
from proofreel.workflows.steps import Toolbox, Workbench, workbench

T = TypeVar("T")
log = structlog.get_logger()

_TRIES = 3  # of a hop whose error says that trying again can help
_POLL_S = 0.5


class UnderWay:
    """The workflows that this process runs right now, by id. One can be there twice: deposed, and
    not yet aware of it, while its successor is at work already. Safe between threads."""

    def __init__(self) -> None:
        self._lock, self._times = threading.Lock(), Counter[str]()

    def names(self) -> set[str]:
        with self._lock:
            return set(self._times)

    @contextmanager
    def counting(self, name: str) -> Iterator[None]:
        """Count `name` for the length of the block."""
        with self._lock:
            self._times[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._times[name] -= 1
                self._times = +self._times


@dataclass(frozen=True, slots=True)
class Worker:
    """What the workflows of this process work with."""

    tools: Toolbox
    ledger: Ledger
    sender: WebhookSender
    announcer: Announcer
    tracer: Tracer = field(default_factory=NoTracer)
    active: UnderWay = field(default_factory=UnderWay)

    def traceparent(self, job_id: str) -> str | None:
        """Return where the job's spans belong; a silent database only cuts the trace in two."""
        if isinstance(self.tracer, NoTracer):
            return None
        try:
            return self.ledger.traceparent(job_id)
        except DatabaseUnavailable:
            return None


class DurableSteps:
    """Runs each hop as a checkpointed step of the workflow it is called in."""

    def __init__(self, worker: Worker, job_id: str, attempt: int) -> None:
        self._worker, self._job_id, self._attempt = worker, job_id, attempt
        self._scaling: Any = None
        self.stage = ""  # the hop that was begun last
        self.parent: str | None = None  # of the hops' spans; None: the span around

    def run(self, stage: str, result: type[T], hop: Callable[[Workbench], T]) -> T:
        kind = TypeAdapter(result)
        self.stage = stage

        def step() -> Any:
            about: dict[str, Attribute] = {
                "proofreel.job_id": self._job_id,
                "proofreel.attempt": self._attempt,
                "proofreel.stage": stage,
            }
            with (
                structlog.contextvars.bound_contextvars(stage=stage),
                self._worker.tracer.span(stage, about, parent=self.parent),
            ):
                return kind.dump_python(self._perform(stage, hop), mode="json")

        return kind.validate_python(DBOS.run_step({"name": stage}, step))

    def start_scaling(self, probed: Probed) -> None:
        options: EnqueueOptions = {
            "workflow_name": SCALE,
            "queue_name": SCALE,
            "workflow_id": f"{workflow_id(self._job_id, self._attempt)}-scale",
            "app_version": APPLICATION_VERSION,
        }
        argument = TypeAdapter(Probed).dump_python(probed, mode="json")
        self._scaling = DBOS.enqueue_workflow_with_options(
            options, self._job_id, self._attempt, argument
        )

    def scaled(self) -> Scaled:
        self._worker.ledger.start(
            self._job_id, self._attempt, "scale", overall_percent("scale", 0.0)
        )
        try:
            outcome = self._scaling.get_result(polling_interval_sec=_POLL_S)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise JobCancelled from error
            return Scaled(None, failure.message)
        return TypeAdapter(Scaled).validate_python(outcome)

    def _perform(self, stage: str, hop: Callable[[Workbench], T]) -> T:
        ledger, tools = self._worker.ledger, self._worker.tools
        if stage == "scale":
            job = ledger.peek(self._job_id, self._attempt)
        else:
            percent = overall_percent(stage, 0.0)
            job = ledger.start(self._job_id, self._attempt, stage, percent)
        spec = JobSpec(source=job.source, name=job.name, options=job.options)
        monitor = _StageMonitor(ledger, self._job_id, self._attempt, stage)
        for try_number in range(1, _TRIES + 1):
            began_s = time.monotonic()
            try:
                with workbench(tools, spec, job_prefix(job.id), stage, monitor) as bench:
                    result = hop(bench)
                if isinstance(result, JobResult):
                    message = self._worker.announcer.announce(job, result)
                    ledger.complete(self._job_id, self._attempt, result, message)
                return result
            except ProofreelError as error:
                again = error.retryable and try_number < _TRIES
                if not isinstance(error, JobCancelled):
                    log.warning(
                        "hop_failed",
                        **_told(error),
                        seconds=round(time.monotonic() - began_s, 2),
                        try_number=try_number,
                        again=again,
                    )
                if not again:
                    raise
            except Exception:
                log.exception("hop_crashed", seconds=round(time.monotonic() - began_s, 2))
                raise
            monitor.wait(2.0**try_number)
        raise AssertionError("unreachable")


class _StageMonitor:
    """Writes progress down, and looks whether the job is still wanted, at most twice a second."""

    def __init__(self, ledger: Ledger, job_id: str, attempt: int, stage: str) -> None:
        self._ledger, self._job_id, self._attempt, self._stage = ledger, job_id, attempt, stage
        self._noted = -1
        self._noted_at_s = self._checked_at_s = time.monotonic()

    def progress(self, fraction: float) -> None:
        percent = overall_percent(self._stage, fraction)
        now_s = time.monotonic()
        if percent > self._noted and now_s - self._noted_at_s >= _POLL_S:
            self._noted, self._noted_at_s = percent, now_s
            with _a_silent_database_is_no_reason_to_stop():
                self._ledger.note(self._job_id, self._attempt, self._stage, percent)

    def check(self) -> None:
        now_s = time.monotonic()
        if now_s - self._checked_at_s >= _POLL_S:
            self._checked_at_s = now_s
            with _a_silent_database_is_no_reason_to_stop():
                if not self._ledger.wanted(self._job_id, self._attempt):
                    raise JobCancelled

    def wait(self, seconds: float) -> None:
        """Sleep, but not past a cancellation."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.check()
            time.sleep(0.1)


@contextmanager
def _a_silent_database_is_no_reason_to_stop() -> Iterator[None]:
    """Only a cancellation stops a hop; news of it may come late."""
    try:
        yield
    except DatabaseUnavailable as error:
        log.warning("database_silent", detail=error.detail)


def end_badly(worker: Worker, job_id: str, attempt: int, failure: Failure) -> bool:
    """End the job as failed and announce it; False if this attempt was over already."""
    try:
        job = worker.ledger.peek(job_id, attempt)
        worker.ledger.fail(job_id, attempt, failure, worker.announcer.announce(job, failure))
    except JobCancelled:
        return False
    return True


def log_failure(error: Exception, failure: Failure, *, stage: str, began_s: float) -> None:
    """Say in one line what somebody who looks for the cause must know.

    `detail` is missing only from a hop that failed before a restart: its `hop_failed` has it.
    """
    log.error(
        "job_failed",
        stage=stage,
        code=failure.code,
        reason=failure.message,
        detail=_told(error)["detail"],
        seconds=round(time.monotonic() - began_s, 2),
        retryable=failure.retryable,
    )


def _told(error: Exception) -> dict[str, str]:
    if isinstance(error, ProofreelError):
        return {"code": error.code, "reason": str(error), "detail": error.detail}
    if isinstance(error, PortableWorkflowError):
        return {"code": str(error.code), "reason": error.message, "detail": ""}
    return {"code": "internal_error", "reason": "", "detail": f"{type(error).__name__}: {error}"}


def failure_of(error: Exception) -> Failure | None:
    """Say what users are told about `error`; None if the job was cancelled.

    A replayed step raises what the engine kept of the error: its code, message and data.
    """
    if isinstance(error, JobCancelled):
        return None
    if isinstance(error, ProofreelError):
        return Failure(error.code, str(error), error.retryable)
    if isinstance(error, PortableWorkflowError):
        if error.code == JobCancelled.code:
            return None
        if isinstance(error.code, str) and isinstance(error.data, dict):
            return Failure(error.code, error.message, bool(error.data.get("retryable")))
    if type(error).__name__ == "DBOSAwaitedWorkflowCancelledError":
        return None
    message = "Something went wrong on our side while this recording was processed."
    return Failure("internal_error", message, retryable=True)
