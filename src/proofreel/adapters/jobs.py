"""Submit, read, list, cancel, retry and delete jobs. Never runs one: that is the worker's part.

A job is a row of ours and a workflow in the engine's queue, written in one transaction: what was
answered with 202 is durable, and neither half exists without the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from proofreel.adapters import database as db
from proofreel.adapters.job_rows import (
    delivery_from_row,
    job_from_row,
    job_from_values,
    new_row,
)
from proofreel.adapters.queue import JobQueue
from proofreel.adapters.storage import Storage
from proofreel.adapters.uploads import UPLOAD_KEY
from proofreel.core.job_errors import (
    BadCursor,
    DeliveryNotFound,
    IdempotencyMismatch,
    JobNotFound,
    JobStateConflict,
)
from proofreel.core.jobs import JOB_ID, TERMINAL, Delivery, Job, JobPage, JobStatus, WorkerSeen
from proofreel.core.model import JobSpec

_DELIVERY_ID = re.compile(r"[0-9A-Za-z_-]{1,80}")
_MAX_PAGE = 200
_IN_NO_NAME = re.compile("[\0\ud800-\udfff]")  # nor in any text that a database takes


class Jobs:
    """All that can be asked about jobs, over the shared database. Safe to share between threads."""

    def __init__(
        self,
        engine: sa.Engine,
        queue: JobQueue,
        storage: Storage,
        ended: Callable[[JobStatus], None] = lambda _: None,
    ) -> None:
        """Tell `ended` of every job that this one ends, which is by cancelling it."""
        self._engine = engine
        self._queue = queue
        self._storage = storage
        self._ended = ended

    def submit(
        self, spec: JobSpec, *, idempotency_key: str | None = None, traceparent: str | None = None
    ) -> Job:
        """Write the job and queue it; durable when it returns.

        The same `idempotency_key` with the same bytes, name and options gives the job made
        first. Raises IdempotencyMismatch, DatabaseUnavailable.
        """
        if idempotency_key is not None and not 0 < len(idempotency_key) <= 255:
            raise IdempotencyMismatch
        row = new_row(spec, db.now_ms())
        row |= {"idempotency_key": idempotency_key, "traceparent": traceparent}
        job_id, digest = row["id"], row["request_sha256"]
        with db.database_errors():
            if idempotency_key and (job := self._by_idempotency_key(idempotency_key, digest)):
                return job
            try:
                with self._engine.begin() as connection:
                    connection.execute(sa.insert(db.jobs).values(row))
                    self._queue.add_job(connection, job_id, 1)
            except IntegrityError:
                if idempotency_key and (job := self._by_idempotency_key(idempotency_key, digest)):
                    return job  # someone else was first, by a moment
                raise
        return job_from_values(row)  # not read again: what is committed must be answered

    def get(self, job_id: str) -> Job:
        """Return the job. Raises JobNotFound, DatabaseUnavailable."""
        if not JOB_ID.fullmatch(job_id):
            raise JobNotFound
        with db.database_errors(), self._engine.connect() as connection:
            row = connection.execute(sa.select(db.jobs).where(db.jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise JobNotFound
        return job_from_row(row)

    def list(
        self,
        *,
        status: JobStatus | None = None,
        search: str = "",
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage:
        """Return jobs, newest first; `search` is a part of the name, in any case.

        Raises BadCursor, DatabaseUnavailable.
        """
        if cursor is not None and not JOB_ID.fullmatch(cursor):
            raise BadCursor
        if _IN_NO_NAME.search(search):
            return JobPage((), None)
        limit = min(max(limit, 1), _MAX_PAGE)
        query = sa.select(db.jobs).order_by(db.jobs.c.id.desc()).limit(limit + 1)
        if status:
            query = query.where(db.jobs.c.status == status)
        if search:
            query = query.where(db.jobs.c.name.icontains(search, autoescape=True))
        if cursor:
            query = query.where(db.jobs.c.id < cursor)
        with db.database_errors(), self._engine.connect() as connection:
            found = [job_from_row(row) for row in connection.execute(query)]
        more = len(found) > limit
        return JobPage(tuple(found[:limit]), found[limit - 1].id if more else None)

    def cancel(self, job_id: str) -> Job:
        """Stop the job: one in the queue never starts, one at work stops within a second.

        Raises JobNotFound, JobStateConflict for a finished one, DatabaseUnavailable.
        """
        job = self.get(job_id)
        now = db.now_ms()
        with db.database_errors():
            with self._engine.begin() as connection:
                done = connection.execute(
                    sa.update(db.jobs)
                    .where(db.jobs.c.id == job_id, db.jobs.c.status.not_in(TERMINAL))
                    .values(status="cancelled", updated_at_ms=now, finished_at_ms=now)
                )
            if done.rowcount == 0:
                raise JobStateConflict("cancelled", self.get(job_id).status)
            self._ended("cancelled")
            self._queue.cancel_job(job.id, job.attempt)
        return self.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Run a failed or cancelled job again, from the start, under the same id.

        Raises JobNotFound, JobStateConflict, DatabaseUnavailable.
        """
        job = self.get(job_id)
        if self._storage.stat(job.source.key) is None:
            raise JobStateConflict("tried again, since its recording is gone", job.status)
        with db.database_errors(), self._engine.begin() as connection:
            done = connection.execute(
                sa.update(db.jobs)
                .where(
                    db.jobs.c.id == job_id,
                    db.jobs.c.attempt == job.attempt,
                    db.jobs.c.status.in_(("failed", "cancelled")),
                )
                .values(
                    status="queued",
                    stage="",
                    progress=0,
                    attempt=job.attempt + 1,
                    updated_at_ms=db.now_ms(),
                    started_at_ms=None,
                    finished_at_ms=None,
                    failure=None,
                    result=None,
                )
            )
            if done.rowcount:
                self._queue.add_job(connection, job_id, job.attempt + 1)
        if not done.rowcount:
            raise JobStateConflict("tried again", self.get(job_id).status)
        return self.get(job_id)

    def delete(self, job_id: str) -> None:
        """Remove the job, its files and its history; stops it first if it is at work.

        The recording itself goes too unless another job was made from it.
        Raises JobNotFound, DatabaseUnavailable, StorageUnavailable.
        """
        job = self.get(job_id)
        if job.status not in TERMINAL:
            with suppress(JobStateConflict):  # it ended by itself, by a moment
                job = self.cancel(job_id)
        self._storage.delete_prefix(job_prefix(job_id))  # before the row: a crash leaves it to see
        with db.database_errors():
            with self._engine.begin() as connection:
                # of two jobs over one recording, the one deleted last must see that it is
                together = sa.select(db.jobs.c.id).where(db.jobs.c.source_key == job.source.key)
                connection.execute(together.order_by(db.jobs.c.id).with_for_update())
                connection.execute(sa.delete(db.deliveries).where(db.deliveries.c.job_id == job_id))
                connection.execute(sa.delete(db.jobs).where(db.jobs.c.id == job_id))
                shared = connection.execute(
                    sa.select(sa.func.count()).where(db.jobs.c.source_key == job.source.key)
                ).scalar_one()
            self._queue.forget_job(job_id, job.attempt)
        if not shared and job.source.sha256 and (upload := UPLOAD_KEY.match(job.source.key)):
            self._storage.delete_prefix(upload[1])

    def deliveries(self, *, job_id: str | None = None, limit: int = 50) -> tuple[Delivery, ...]:
        """Return webhook messages, newest first. Raises DatabaseUnavailable."""
        query = sa.select(db.deliveries).order_by(db.deliveries.c.created_at_ms.desc())
        if job_id is not None:
            if not JOB_ID.fullmatch(job_id):
                return ()
            query = query.where(db.deliveries.c.job_id == job_id)
        with db.database_errors(), self._engine.connect() as connection:
            rows = connection.execute(query.limit(min(max(limit, 1), _MAX_PAGE)))
            return tuple(delivery_from_row(row) for row in rows)

    def resend(self, delivery_id: str) -> Delivery:
        """Try a webhook message again now, under its old id. Raises DeliveryNotFound."""
        if not _DELIVERY_ID.fullmatch(delivery_id):
            raise DeliveryNotFound
        query = sa.select(db.deliveries).where(db.deliveries.c.id == delivery_id)
        with db.database_errors(), self._engine.begin() as connection:
            row = connection.execute(query.with_for_update()).one_or_none()
            if row is None:
                raise DeliveryNotFound
            connection.execute(
                sa.update(db.deliveries)
                .where(db.deliveries.c.id == delivery_id)
                .values(state="pending", next_try_at_ms=db.now_ms())
            )
            self._queue.add_delivery(connection, delivery_id, len(row.tries) + 1, at_once=True)
        with db.database_errors(), self._engine.connect() as connection:
            return delivery_from_row(connection.execute(query).one())

    def ping(self) -> None:
        """Raise DatabaseUnavailable if the database does not answer."""
        with db.database_errors(), self._engine.connect() as connection:
            connection.execute(sa.select(db.jobs.c.id).limit(1)).one_or_none()

    def workers(self, within_s: int) -> tuple[WorkerSeen, ...]:
        """Return the workers heard of within the last `within_s` seconds, by id.

        Raises DatabaseUnavailable.
        """
        table = db.workers.c
        with db.database_errors(), self._engine.connect() as connection:
            since_s = db.database_clock_s(connection) - within_s
            query = sa.select(table.executor_id, table.model_problem)
            rows = connection.execute(
                query.where(table.beat_at_s >= since_s).order_by(table.executor_id)
            )
            return tuple(WorkerSeen(row.executor_id, row.model_problem) for row in rows)

    def expired(self, before_ms: int, limit: int = 100) -> Sequence[str]:
        """Return ids of finished jobs that ended before `before_ms` (epoch)."""
        query = sa.select(db.jobs.c.id).where(
            db.jobs.c.status.in_(TERMINAL), db.jobs.c.finished_at_ms < before_ms
        )
        with db.database_errors(), self._engine.connect() as connection:
            return list(connection.execute(query.limit(limit)).scalars())

    def uses_source(self, key: str) -> bool:
        """Say whether any job was made from the upload stored under `key`."""
        query = sa.select(db.jobs.c.id).where(db.jobs.c.source_key == key).limit(1)
        with db.database_errors(), self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def _by_idempotency_key(self, key: str, digest: str) -> Job | None:
        query = sa.select(db.jobs).where(db.jobs.c.idempotency_key == key)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if row.request_sha256 != digest:
            raise IdempotencyMismatch
        return job_from_row(row)


def job_prefix(job_id: str) -> str:
    """Where the files of a job lie in the storage."""
    return f"jobs/{job_id}/"
