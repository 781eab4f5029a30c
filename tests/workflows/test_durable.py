from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos import PortableWorkflowError

from proofreel.adapters.media_errors import MediaEmpty
from proofreel.core.jobs import Failure
from proofreel.errors import JobCancelled
from proofreel.workflows.durable import _StageMonitor, failure_of
from tests.adapters.job_setup import DATABASES, JobSetup, job_setup


@pytest.fixture(params=DATABASES)
def setup(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[JobSetup]:
    with job_setup(tmp_path, request.param) as made:
        yield made


def rename(setup: JobSetup, table: str, name: str) -> None:
    with setup.engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO {name}"))


def test_a_silent_database_stops_no_hop_but_a_cancellation_does(setup: JobSetup) -> None:
    job = setup.jobs.submit(setup.spec())
    setup.ledger.start(job.id, 1, "transcribe", 5)
    monitor = _StageMonitor(setup.ledger, job.id, 1, "transcribe")

    rename(setup, "proofreel_job", "away")
    time.sleep(0.6)  # past the shortest time between two looks
    monitor.check()
    monitor.progress(0.5)
    rename(setup, "away", "proofreel_job")

    setup.jobs.cancel(job.id)
    time.sleep(0.6)
    with pytest.raises(JobCancelled):
        monitor.check()


def test_progress_is_written_down_as_a_share_of_the_whole(setup: JobSetup) -> None:
    job = setup.jobs.submit(setup.spec())
    setup.ledger.start(job.id, 1, "transcribe", 5)
    monitor = _StageMonitor(setup.ledger, job.id, 1, "transcribe")

    time.sleep(0.6)
    monitor.progress(0.5)

    assert setup.jobs.get(job.id).progress == 49  # 1 + 4 before it, half of its own 88


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (JobCancelled(), None),
        (PortableWorkflowError("The job was cancelled.", "JobCancelled", "cancelled"), None),
        (
            MediaEmpty("x"),
            Failure("media_empty", "The file is empty: there is no sound in it.", retryable=False),
        ),
        (
            PortableWorkflowError("Full.", "StorageFull", "storage_full", {"retryable": True}),
            Failure("storage_full", "Full.", retryable=True),
        ),
        (
            KeyError("secret"),
            Failure(
                "internal_error",
                "Something went wrong on our side while this recording was processed.",
                retryable=True,
            ),
        ),
    ],
)
def test_a_failure_is_told_the_same_at_once_and_when_replayed(
    error: Exception, told: Failure | None
) -> None:
    assert failure_of(error) == told
