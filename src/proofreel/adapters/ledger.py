"""What a worker writes down about the jobs it runs.

Every write names the attempt it belongs to and lands only while that attempt is at work, so that a
worker that was cancelled, replaced or asleep cannot overwrite what came after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from proofreel.adapters import database as db
from proofreel.adapters.job_rows import delivery_from_row, job_from_row, result_to_json
from proofreel.adapters.queue import JobQueue
from proofreel.core.jobs import Delivery, DeliveryTry, Failure, Job, JobResult, JobStatus
from proofreel.errors import JobCancelled

_AT_WORK = ("queued", "processing")


@dataclass(frozen=True, slots=True)
class Message:
    """A webhook message that goes out with the end of a job."""

    event: str
    url: str
    payload: Mapping[str, Any]


class Ledger:
    """The worker's side of the job table. Every method may raise DatabaseUnavailable."""

    def __init__(
        self,
        engine: sa.Engine,
        queue: JobQueue,
        ended: Callable[[JobStatus], None] = lambda _: None,
    ) -> None:
        """Tell `ended` of every job whose end was written down here, once each."""
        self._engine = engine
        self._queue = queue
        self._on_end = ended

    def start(self, job_id: str, attempt: int, stage: str, percent: int) -> Job:
        """Note that `stage` begins. Raises JobCancelled if this attempt is no longer wanted."""
        now = db.now_ms()
        started = sa.func.coalesce(db.jobs.c.started_at_ms, now)
        values = {"status": "processing", "stage": stage, "started_at_ms": started}
        if not self._update(job_id, attempt, progress=_not_less(percent), **values):
            raise JobCancelled
        return self.peek(job_id, attempt)

    def peek(self, job_id: str, attempt: int) -> Job:
        """Return the job. Raises JobCancelled if this attempt is no longer wanted."""
        query = sa.select(db.jobs).where(_current(job_id, attempt))
        with db.database_errors(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise JobCancelled
        return job_from_row(row)

    def find(self, job_id: str) -> Job | None:
        """Return the job in whatever state, None if it was deleted."""
        query = sa.select(db.jobs).where(db.jobs.c.id == job_id)
        with db.database_errors(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return job_from_row(row) if row else None

    def note(self, job_id: str, attempt: int, stage: str, percent: int) -> None:
        """Note the progress of the whole job, if it is at `stage`; it never goes back."""
        self._update(job_id, attempt, db.jobs.c.stage == stage, progress=_not_less(percent))

    def wanted(self, job_id: str, attempt: int) -> bool:
        """Say whether this attempt should go on."""
        query = sa.select(db.jobs.c.id).where(_current(job_id, attempt))
        with db.database_errors(), self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def status(self, job_id: str) -> JobStatus | None:
        """Return the job's status, None if it was deleted."""
        query = sa.select(db.jobs.c.status).where(db.jobs.c.id == job_id)
        with db.database_errors(), self._engine.connect() as connection:
            found: JobStatus | None = connection.execute(query).scalar_one_or_none()
        return found

    def traceparent(self, job_id: str) -> str | None:
        """Return the trace of the request that submitted the job, None if there is none."""
        query = sa.select(db.jobs.c.traceparent).where(db.jobs.c.id == job_id)
        with db.database_errors(), self._engine.connect() as connection:
            found: str | None = connection.execute(query).scalar_one_or_none()
        return found

    def complete(
        self, job_id: str, attempt: int, result: JobResult, message: Message | None
    ) -> None:
        """End the job well and queue its message, both or neither. Raises JobCancelled."""
        values = {"stage": "", "progress": 100}
        self._end(job_id, attempt, "completed", message, result=result_to_json(result), **values)

    def fail(self, job_id: str, attempt: int, failure: Failure, message: Message | None) -> None:
        """End the job badly and queue its message, both or neither. Raises JobCancelled."""
        self._end(job_id, attempt, "failed", message, failure=asdict(failure))

    def delivery(self, delivery_id: str) -> tuple[Delivery, Mapping[str, Any]] | None:
        """Return a webhook message with its payload, None if it was deleted."""
        query = sa.select(db.deliveries).where(db.deliveries.c.id == delivery_id)
        with db.database_errors(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return (delivery_from_row(row), row.payload) if row else None

    def record_try(
        self, delivery: Delivery, outcome: DeliveryTry, *, delivered: bool, next_delay_s: int | None
    ) -> None:
        """Note one try of a message and queue the next, both or neither."""
        tries = [asdict(past) for past in (*delivery.tries, outcome)]
        again = None if delivered else next_delay_s
        state = "delivered" if delivered else "failed" if again is None else "pending"
        next_try_at_ms = None if again is None else outcome.at_ms + again * 1000
        with db.database_errors(), self._engine.begin() as connection:
            done = connection.execute(
                sa.update(db.deliveries)
                .where(db.deliveries.c.id == delivery.id)
                .values(state=state, tries=tries, next_try_at_ms=next_try_at_ms)
            )
            if done.rowcount and again is not None:
                self._queue.add_delivery(connection, delivery.id, len(tries) + 1, delay_s=again)

    def overdue_deliveries(self, before_ms: int) -> list[str]:
        """Return the messages that should have been tried before `before_ms` and were not."""
        query = sa.select(db.deliveries.c.id).where(
            db.deliveries.c.state == "pending", db.deliveries.c.next_try_at_ms < before_ms
        )
        with db.database_errors(), self._engine.connect() as connection:
            return list(connection.execute(query.limit(100)).scalars())

    def beat(self, executor_id: str, model_problem: str | None = None) -> None:
        """Note that this worker lives, by the database's clock, and whether its model is fine."""
        with db.database_errors(), self._engine.begin() as connection:
            values = {
                "beat_at_s": db.database_clock_s(connection),
                "model_problem": model_problem,
            }
            mine = db.workers.c.executor_id == executor_id
            if not connection.execute(sa.update(db.workers).where(mine).values(values)).rowcount:
                row = {"executor_id": executor_id, **values}
                connection.execute(sa.insert(db.workers).values(row))

    def leave(self, executor_id: str) -> None:
        """Take this worker's name off the list: from now on its peers take over what it had."""
        with db.database_errors(), self._engine.begin() as connection:
            connection.execute(sa.delete(db.workers).where(db.workers.c.executor_id == executor_id))

    def forget_workers(self, silent_for_s: int) -> None:
        """Strike the workers that have not beaten for so long: hosts come and go."""
        with db.database_errors(), self._engine.begin() as connection:
            since_s = db.database_clock_s(connection) - silent_for_s
            connection.execute(sa.delete(db.workers).where(db.workers.c.beat_at_s < since_s))

    def living_workers(self, within_s: int) -> set[str]:
        """Return the workers that have beaten within the last `within_s` seconds."""
        with db.database_errors(), self._engine.connect() as connection:
            since_s = db.database_clock_s(connection) - within_s
            query = sa.select(db.workers.c.executor_id).where(db.workers.c.beat_at_s >= since_s)
            return set(connection.execute(query).scalars())

    def known_workers(self) -> set[str]:
        """Return the workers that have beaten and not signed off, however long ago."""
        with db.database_errors(), self._engine.connect() as connection:
            return set(connection.execute(sa.select(db.workers.c.executor_id)).scalars())

    def unfinished(self) -> list[tuple[str, int]]:
        """Return job id and attempt of everything queued or at work."""
        query = sa.select(db.jobs.c.id, db.jobs.c.attempt).where(db.jobs.c.status.in_(_AT_WORK))
        with db.database_errors(), self._engine.connect() as connection:
            return [(row.id, row.attempt) for row in connection.execute(query)]

    def _update(
        self, job_id: str, attempt: int, *only_if: sa.ColumnElement[bool], **values: Any
    ) -> bool:
        change = sa.update(db.jobs).where(_current(job_id, attempt), *only_if)
        with db.database_errors(), self._engine.begin() as connection:
            done = connection.execute(change.values(updated_at_ms=db.now_ms(), **values))
        return bool(done.rowcount)

    def _end(
        self, job_id: str, attempt: int, status: JobStatus, message: Message | None, **values: Any
    ) -> None:
        now = db.now_ms()
        with db.database_errors(), self._engine.begin() as connection:
            done = connection.execute(
                sa.update(db.jobs)
                .where(_current(job_id, attempt))
                .values(status=status, updated_at_ms=now, finished_at_ms=now, **values)
            )
            if not done.rowcount:
                if self._ended(connection, job_id, attempt, status):
                    return  # this very step, run again after a crash
                raise JobCancelled
            if message:
                self._send(connection, job_id, attempt, message, now)
        self._on_end(status)

    def _ended(self, connection: sa.Connection, job_id: str, attempt: int, status: str) -> bool:
        query = sa.select(db.jobs.c.status).where(
            db.jobs.c.id == job_id, db.jobs.c.attempt == attempt
        )
        return connection.execute(query).scalar_one_or_none() == status

    def _send(
        self, connection: sa.Connection, job_id: str, attempt: int, message: Message, now_ms: int
    ) -> None:
        delivery_id = f"msg_{job_id}_{attempt}"  # a job ends once per attempt
        connection.execute(
            sa.insert(db.deliveries).values(
                id=delivery_id,
                job_id=job_id,
                event=message.event,
                url=message.url,
                payload=dict(message.payload),
                state="pending",
                tries=[],
                created_at_ms=now_ms,
                next_try_at_ms=now_ms,
            )
        )
        self._queue.add_delivery(connection, delivery_id, 1)


def _current(job_id: str, attempt: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        db.jobs.c.id == job_id, db.jobs.c.attempt == attempt, db.jobs.c.status.in_(_AT_WORK)
    )


def _not_less(percent: int) -> sa.ColumnElement[int]:
    current = db.jobs.c.progress
    return sa.case((current > percent, current), else_=percent)
