from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from proofreel.adapters import database as db
from proofreel.adapters.ledger import Message
from proofreel.core.job_errors import (
    BadCursor,
    DeliveryNotFound,
    IdempotencyMismatch,
    JobNotFound,
    JobStateConflict,
)
from proofreel.core.jobs import DeliveryTry, Failure, JobResult, WorkerSeen
from proofreel.errors import JobCancelled
from tests.adapters.job_setup import DATABASES, JobSetup, job_setup

FAILURE = Failure("media_empty", "There is nothing in it.", retryable=False)
RESULT = JobResult((), 1000, "en", {"silences": 2}, "1 s", {"peaks": [0.5]})
MESSAGE = Message("job.completed", "https://example.com/hook", {"type": "job.completed"})


@pytest.fixture(params=DATABASES)
def setup(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[JobSetup]:
    with job_setup(tmp_path, request.param) as made:
        yield made


def test_a_submitted_job_is_queued_here_and_in_the_engine(setup: JobSetup) -> None:
    job = setup.jobs.submit(setup.spec())

    assert (job.status, job.progress, job.attempt, job.name) == ("queued", 0, 1, "lecture.mp4")
    assert setup.jobs.get(job.id) == job
    assert setup.engine_status(f"{job.id}-1") == "ENQUEUED"


def test_no_job_row_is_left_when_the_engine_refuses_the_workflow(setup: JobSetup) -> None:
    with setup.engine.begin() as connection:
        table = setup.engine_table("workflow_status")
        connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO away"))

    with pytest.raises(db.DatabaseUnavailable):
        setup.jobs.submit(setup.spec())

    assert setup.jobs.list().items == ()


def test_one_idempotency_key_makes_one_job_out_of_fifty_submits_at_once(setup: JobSetup) -> None:
    spec, ids = setup.spec(), list[str]()
    threads = [
        threading.Thread(target=lambda: ids.append(setup.jobs.submit(spec, idempotency_key="k").id))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ids) == 50
    assert len(set(ids)) == 1
    assert len(setup.jobs.list().items) == 1


def test_an_idempotency_key_with_other_bytes_is_refused(setup: JobSetup) -> None:
    setup.jobs.submit(setup.spec(b"one"), idempotency_key="k")

    with pytest.raises(IdempotencyMismatch):
        setup.jobs.submit(setup.spec(b"other"), idempotency_key="k")


@pytest.mark.parametrize("wrong", ["", "x", "../../etc/passwd", "0" * 26, "%00", "'; DROP TABLE"])
def test_an_unknown_id_is_not_found_whatever_it_looks_like(setup: JobSetup, wrong: str) -> None:
    with pytest.raises(JobNotFound):
        setup.jobs.get(wrong)


def test_paging_gives_every_job_once_newest_first(setup: JobSetup) -> None:
    made = [setup.jobs.submit(setup.spec(name=f"take{n}.mp3")).id for n in range(5)]

    seen, cursor = list[str](), None
    while True:
        page = setup.jobs.list(limit=2, cursor=cursor)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert sorted(seen) == sorted(made)
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)
    with pytest.raises(BadCursor):
        setup.jobs.list(cursor="not ours")


def test_the_list_is_searched_by_name_and_filtered_by_state(setup: JobSetup) -> None:
    kept = setup.jobs.submit(setup.spec(name="Über 100%.mp3"))
    setup.jobs.submit(setup.spec(name="other.mp3"))

    assert [job.id for job in setup.jobs.list(search="100%").items] == [kept.id]
    assert setup.jobs.list(search="_").items == ()
    assert setup.jobs.list(status="failed").items == ()
    assert len(setup.jobs.list(status="queued").items) == 2


def test_a_cancelled_job_never_starts_and_cannot_be_cancelled_again(setup: JobSetup) -> None:
    job = setup.jobs.submit(setup.spec())

    assert setup.jobs.cancel(job.id).status == "cancelled"

    assert setup.engine_status(f"{job.id}-1") == "CANCELLED"
    with pytest.raises(JobCancelled):
        setup.ledger.start(job.id, 1, "probe", 0)
    with pytest.raises(JobStateConflict):
        setup.jobs.cancel(job.id)


def test_a_retry_is_a_new_attempt_that_the_old_one_cannot_write_to(setup: JobSetup) -> None:
    job = setup.jobs.submit(setup.spec())
    setup.ledger.start(job.id, 1, "probe", 1)
    with pytest.raises(JobStateConflict):
        setup.jobs.retry(job.id)
    setup.ledger.fail(job.id, 1, FAILURE, None)
    assert setup.jobs.get(job.id).failure == FAILURE

    again = setup.jobs.retry(job.id)

    assert (again.status, again.attempt, again.failure, again.progress) == ("queued", 2, None, 0)
    assert setup.engine_status(f"{job.id}-2") == "ENQUEUED"
    with pytest.raises(JobCancelled):
        setup.ledger.complete(job.id, 1, RESULT, None)


def test_progress_never_goes_back_and_belongs_to_the_stage_at_work(setup: JobSetup) -> None:
    job = setup.jobs.submit(setup.spec())
    setup.ledger.start(job.id, 1, "transcribe", 5)
    setup.ledger.note(job.id, 1, "transcribe", 40)
    setup.ledger.note(job.id, 1, "transcribe", 30)
    setup.ledger.note(job.id, 1, "scale", 97)

    now = setup.jobs.get(job.id)
    assert (now.status, now.stage, now.progress) == ("processing", "transcribe", 40)


def test_a_job_and_its_webhook_message_end_together_and_once(setup: JobSetup) -> None:
    job = setup.jobs.submit(setup.spec())
    setup.ledger.start(job.id, 1, "publish", 99)
    setup.ledger.complete(job.id, 1, RESULT, MESSAGE)
    setup.ledger.complete(job.id, 1, RESULT, MESSAGE)  # the step runs again after a crash

    done = setup.jobs.get(job.id)
    assert (done.status, done.progress, done.result) == ("completed", 100, RESULT)
    (delivery,) = setup.jobs.deliveries(job_id=job.id)
    assert (delivery.event, delivery.state, delivery.tries) == ("job.completed", "pending", ())
    assert setup.engine_status(f"{delivery.id}-1") == "ENQUEUED"


def test_a_failed_try_queues_the_next_and_the_last_one_gives_up(setup: JobSetup) -> None:
    job = setup.jobs.submit(setup.spec())
    setup.ledger.start(job.id, 1, "publish", 99)
    setup.ledger.complete(job.id, 1, RESULT, MESSAGE)
    (delivery,) = setup.jobs.deliveries()

    refused = DeliveryTry(1_000, 500, None)
    setup.ledger.record_try(delivery, refused, delivered=False, next_delay_s=30)

    (waiting,) = setup.jobs.deliveries()
    assert (waiting.state, waiting.next_try_at_ms) == ("pending", 31_000)
    assert setup.engine_status(f"{delivery.id}-2") == "DELAYED"
    setup.ledger.record_try(waiting, refused, delivered=False, next_delay_s=None)
    (given_up,) = setup.jobs.deliveries()
    assert (given_up.state, len(given_up.tries)) == ("failed", 2)

    assert setup.jobs.resend(delivery.id).state == "pending"
    with setup.engine.connect() as connection:
        table = setup.engine_table("workflow_status")
        query = sa.text(f"SELECT status FROM {table} WHERE workflow_uuid LIKE :id")  # noqa: S608
        found = connection.execute(query, {"id": f"{delivery.id}-3-at-%"}).scalars().all()
    assert found == ["ENQUEUED"]
    with pytest.raises(DeliveryNotFound):
        setup.jobs.resend("msg_none")


def test_deleting_a_job_leaves_no_row_no_file_and_no_history(setup: JobSetup) -> None:
    spec = setup.spec()
    job = setup.jobs.submit(spec)
    setup.storage.put_bytes(f"jobs/{job.id}/lecture.srt", b"1")

    setup.jobs.delete(job.id)

    with pytest.raises(JobNotFound):
        setup.jobs.get(job.id)
    assert setup.storage.stat(f"jobs/{job.id}/lecture.srt") is None
    assert setup.storage.stat(spec.source.key) is None
    assert setup.engine_status(f"{job.id}-1") is None


def test_a_recording_that_another_job_uses_survives_the_deletion(setup: JobSetup) -> None:
    spec = setup.spec()
    first, second = setup.jobs.submit(spec), setup.jobs.submit(spec)

    setup.jobs.delete(first.id)
    assert setup.storage.stat(spec.source.key) is not None
    assert setup.jobs.cancel(second.id).status == "cancelled"
    assert setup.jobs.retry(second.id).status == "queued"


def test_of_two_jobs_over_one_recording_deleted_at_once_one_takes_it_along(
    setup: JobSetup,
) -> None:
    for _ in range(5):
        spec = setup.spec()
        ids = [setup.jobs.submit(spec).id for _ in range(2)]
        threads = [threading.Thread(target=setup.jobs.delete, args=(job_id,)) for job_id in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert setup.jobs.list().items == ()
        assert setup.storage.stat(spec.source.key) is None


def test_the_trace_of_a_request_stays_with_its_job(setup: JobSetup) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    job = setup.jobs.submit(setup.spec(), traceparent=trace)

    assert job.traceparent == trace
    assert setup.jobs.get(job.id).traceparent == trace
    assert setup.ledger.peek(job.id, 1).traceparent == trace
    assert setup.jobs.submit(setup.spec()).traceparent is None


def test_workers_are_seen_with_what_is_wrong_with_them_until_they_leave(setup: JobSetup) -> None:
    setup.ledger.beat("host-b-slot0", "The model is damaged.")
    setup.ledger.beat("host-a-slot0")

    assert setup.jobs.workers(30) == (
        WorkerSeen("host-a-slot0", None),
        WorkerSeen("host-b-slot0", "The model is damaged."),
    )
    setup.ledger.beat("host-b-slot0")
    setup.ledger.leave("host-a-slot0")
    assert setup.jobs.workers(30) == (WorkerSeen("host-b-slot0", None),)
    assert setup.ledger.living_workers(30) == {"host-b-slot0"}
    setup.ledger.forget_workers(60)
    assert len(setup.jobs.workers(30)) == 1
    setup.ledger.forget_workers(-60)
    assert setup.jobs.workers(30) == ()


@pytest.mark.parametrize("search", ["a\0b", "\ud800", "100%", "\\"])
def test_no_search_upsets_the_database(setup: JobSetup, search: str) -> None:
    setup.jobs.submit(setup.spec())

    assert setup.jobs.list(search=search).items == ()


def test_what_is_committed_is_answered_without_asking_the_database_again(
    setup: JobSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise db.DatabaseUnavailable

    spec = setup.spec()
    with monkeypatch.context() as broken:
        broken.setattr(setup.jobs, "get", fail)
        job = setup.jobs.submit(spec)

    assert setup.jobs.get(job.id) == job
