"""The engine's queues from outside: put work in, take it out. Never runs anything."""

from __future__ import annotations

import time

import sqlalchemy as sa
from dbos import DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions

APPLICATION = "proofreel"
APPLICATION_VERSION = (
    "pipeline-1"  # a constant: the engine's default hash strands jobs at each edit
)
PIPELINE, SCALE, WEBHOOKS = "pipeline", "scale", "webhooks"


def workflow_id(job_id: str, attempt: int) -> str:
    """Return the engine's name for one attempt at a job."""
    return f"{job_id}-{attempt}"


def job_serializer() -> DBOSPortableJSONSerializer:
    """JSON on both sides of the queue: a row of the database never becomes code."""
    return DBOSPortableJSONSerializer()


class JobQueue:
    """Jobs and webhook messages on their way to a worker. Safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._client = DBOSClient(
            system_database_engine=engine,
            application_name=APPLICATION,
            serializer=job_serializer(),
            retry_connection_errors=False,
            lazy=True,
        )

    def add_job(self, connection: sa.Connection, job_id: str, attempt: int) -> None:
        """Queue one attempt at a job within the caller's transaction."""
        options: EnqueueOptions = {
            "workflow_name": PIPELINE,
            "queue_name": PIPELINE,
            "workflow_id": workflow_id(job_id, attempt),
            "app_version": APPLICATION_VERSION,
        }
        self._client.enqueue_in_transaction(connection, options, job_id, attempt)

    def add_delivery(
        self,
        connection: sa.Connection,
        delivery_id: str,
        try_number: int,
        *,
        delay_s: float | None = None,
        at_once: bool = False,
    ) -> None:
        """Queue one try of a webhook message within the caller's transaction.

        `at_once` overtakes the same try where it already waits for its time.
        """
        overtaking = f"-at-{time.time_ns()}" if at_once else ""
        options: EnqueueOptions = {
            "workflow_name": "deliver",
            "queue_name": WEBHOOKS,
            "workflow_id": f"{delivery_id}-{try_number}{overtaking}",
            "app_version": APPLICATION_VERSION,
        }
        if delay_s is not None:
            options["delay_seconds"] = delay_s
        self._client.enqueue_in_transaction(connection, options, delivery_id, try_number)

    def cancel_job(self, job_id: str, attempt: int) -> None:
        """Take the attempt out of the queue, or mark it so that its worker stops."""
        self._client.cancel_workflows([workflow_id(job_id, attempt)], cancel_children=True)

    def forget_job(self, job_id: str, attempts: int) -> None:
        """Remove the engine's history of every attempt, 1 to `attempts`."""
        names = [workflow_id(job_id, attempt) for attempt in range(1, attempts + 1)]
        self._client.delete_workflows(names, delete_children=True)

    def close(self) -> None:
        self._client.destroy()
