"""The durable side of the pipeline: DBOS workflows, one checkpoint per hop.

A killed worker's job goes on at the first hop without a checkpoint. Workflow time limits are left
off (a peer would cancel a late orphan): the limits are on the child processes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from dbos import DBOS, DBOSConfig
from dbos._core import StepOptions
from pydantic import TypeAdapter

from proofreel.adapters.database import engine_address
from proofreel.adapters.jobs import job_prefix
from proofreel.adapters.queue import (
    APPLICATION,
    APPLICATION_VERSION,
    PIPELINE,
    SCALE,
    WEBHOOKS,
    job_serializer,
)
from proofreel.core.jobs import TERMINAL, Failure
from proofreel.core.spans import Attribute, Span, log_context
from proofreel.errors import ProofreelError
from proofreel.workflows import hops
from proofreel.workflows.deliver import send_once
from proofreel.workflows.durable import (
    DurableSteps,
    Worker,
    end_badly,
    failure_of,
    log_failure,
)
from proofreel.workflows.pipeline import run_job
from proofreel.workflows.results import Probed, Scaled

log = structlog.get_logger()

# After this many restarts within one job it is the job that brings the worker down. The engine
# counts orderly stops, too, so it is more than a day of deployments brings.
_RECOVERIES = 12
_POLL_S = 0.5
_OUTCOME_WITHIN_S = 3.0


_worker: Worker | None = None  # DBOS calls plain functions: this is how they find their tools


def launch(worker: Worker, *, database_url: str, executor_id: str, jobs_at_once: int) -> None:
    """Start taking work from the queues, first of all what this executor left unfinished."""
    global _worker
    _worker = worker
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": engine_address(database_url),
        "sys_db_pool_size": 10,
        "run_migrations": False,  # done before, one process at a time
        "use_listen_notify": False,  # nothing of ours waits for a notice
        "application_version": APPLICATION_VERSION,
        "executor_id": executor_id,
        "serializer": job_serializer(),
        "log_level": "WARNING",
        "enable_otlp": False,
    }
    DBOS(config=config)
    DBOS.launch()
    _warn_of_other_limit(jobs_at_once)
    DBOS.register_queue(PIPELINE, worker_concurrency=jobs_at_once, polling_interval_sec=_POLL_S)
    DBOS.register_queue(SCALE, worker_concurrency=1, polling_interval_sec=_POLL_S)
    DBOS.register_queue(WEBHOOKS, worker_concurrency=20, polling_interval_sec=_POLL_S)
    log.info("worker_started", executor_id=executor_id, jobs_at_once=jobs_at_once)


def _warn_of_other_limit(jobs_at_once: int) -> None:
    """The engine keeps a queue's limit in the database, where all workers read it anew."""
    queue = DBOS.retrieve_queue(PIPELINE)
    before = queue.worker_concurrency if queue else None
    if before not in (None, jobs_at_once):
        log.warning("jobs_at_once_changed_for_all_workers", before=before, now=jobs_at_once)


def wind_down(grace_s: float) -> None:
    """Take no more work, and wait up to `grace_s` for what is under way.

    What is left goes on elsewhere, or here at the next start, at the hop it was at. The engine's
    own end would wait for a database that does not answer, so it happens beside us and is left
    behind with the process.
    """
    active = _this_worker().active
    until_s = time.monotonic() + grace_s
    ending = threading.Thread(
        # the engine tears itself down after this time: not below work that is under way
        target=lambda: DBOS.destroy(workflow_completion_timeout_sec=int(grace_s) + 3600),
        daemon=True,
    )
    ending.start()
    if not active.names():
        return  # whatever is claimed in this very moment is handed over like the rest
    log.info("worker_winding_down", workflows=sorted(active.names()), grace_s=grace_s)
    while active.names() and time.monotonic() < until_s:
        time.sleep(0.05)
    if not active.names():  # done, and perhaps still being written down as such
        ending.join(min(_OUTCOME_WITHIN_S, max(0.0, until_s - time.monotonic())))


def _this_worker() -> Worker:
    if _worker is None:
        raise RuntimeError("launch() must be called before a workflow can run")
    return _worker


@DBOS.workflow(name=PIPELINE, max_recovery_attempts=_RECOVERIES)
def _pipeline(job_id: str, attempt: int) -> None:
    with (
        _at_work(job_id=job_id, attempt=attempt) as worker,
        _traced(worker, job_id, attempt) as span,
    ):
        steps, began_s = DurableSteps(worker, job_id, attempt), time.monotonic()
        try:
            result = run_job(steps)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                log.info("job_stopped", stage=steps.stage)
            else:
                log_failure(error, failure, stage=steps.stage, began_s=began_s)
                span.fail(failure.code)
                DBOS.run_step(_stubborn("fail"), _fail, job_id, attempt, failure)
        else:
            seconds = round(time.monotonic() - began_s, 2)
            log.info("job_completed", seconds=seconds, audio_s=result.duration_ms / 1000)
        finally:
            _tidy(worker, job_id)


@DBOS.workflow(name=SCALE, max_recovery_attempts=_RECOVERIES)
def _scale(job_id: str, attempt: int, probed: dict[str, Any]) -> Any:
    with _at_work(job_id=job_id, attempt=attempt) as worker:
        plan = TypeAdapter(Probed).validate_python(probed)
        steps = DurableSteps(worker, job_id, attempt)
        steps.parent = worker.traceparent(job_id)
        try:
            scaled = steps.run("scale", Scaled, lambda bench: hops.scale(bench, plan))
        finally:
            worker.tools.sources.forget(job_prefix(job_id))
        return TypeAdapter(Scaled).dump_python(scaled, mode="json")


@contextmanager
def _traced(worker: Worker, job_id: str, attempt: int) -> Iterator[Span]:
    about: dict[str, Attribute] = {"proofreel.job_id": job_id, "proofreel.attempt": attempt}
    parent = worker.traceparent(job_id)
    with (
        worker.tracer.span("job", about, kind="consumer", parent=parent) as span,
        structlog.contextvars.bound_contextvars(**log_context(span)),
    ):
        yield span


@contextmanager
def _at_work(**context: str | int) -> Iterator[Worker]:
    """Count the current workflow as being run here, and name it in every line of the log."""
    worker, name = _this_worker(), str(DBOS.workflow_id)
    with worker.active.counting(name), structlog.contextvars.bound_contextvars(**context):
        yield worker


def _stubborn(name: str) -> StepOptions:
    """A step that only writes down: it rides out some two minutes without a database."""
    return {"name": name, "retries_allowed": True, "max_attempts": 8, "interval_seconds": 1.0}


def _fail(job_id: str, attempt: int, failure: Failure) -> None:
    if not end_badly(_this_worker(), job_id, attempt, failure):
        log.info("job_stopped")


def _tidy(worker: Worker, job_id: str) -> None:
    """Remove the intermediate files; all files, where a hop stored one after the job's deletion.

    Nothing while the job is at work: then this worker was deposed, and they are another's.
    """
    worker.tools.sources.forget(job_prefix(job_id))
    try:
        status = worker.ledger.status(job_id)
        if status is None:
            worker.tools.storage.delete_prefix(job_prefix(job_id))
        elif status in TERMINAL:
            worker.tools.storage.delete_prefix(f"{job_prefix(job_id)}work/")
    except ProofreelError as error:  # the job's outcome stands; its deletion takes them away
        log.warning("tidy_failed", detail=error.detail)


@DBOS.workflow(name="deliver", max_recovery_attempts=_RECOVERIES)
def _deliver(delivery_id: str, try_number: int) -> None:
    with _at_work(delivery=delivery_id) as worker:
        DBOS.run_step(_stubborn("send"), send_once, worker, delivery_id, try_number)
