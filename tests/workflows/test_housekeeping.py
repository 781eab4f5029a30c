from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from proofreel.adapters.database import DatabaseUnavailable, now_ms, workers
from proofreel.adapters.ledger import Ledger
from proofreel.adapters.s3.storage import S3Storage
from proofreel.adapters.storage import Storage, StorageUnavailable
from proofreel.adapters.uploads import record_upload
from proofreel.bootstrap import make_services, make_worker
from proofreel.core.jobs import WorkerSeen
from proofreel.settings import load_settings
from proofreel.workflows import housekeeping
from proofreel.workflows.durable import UnderWay
from proofreel.workflows.housekeeping import SILENT_AFTER_S, Housekeeper
from tests.adapters.job_setup import DATABASES, fresh_database
from tests.s3.bucket import fresh_bucket


@pytest.fixture(params=DATABASES)
def housekeeper(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Housekeeper]:
    with fresh_database(tmp_path, request.param) as url:
        services = make_services(load_settings(data_dir=tmp_path / "data", database_url=url))
        worker = make_worker(services, tmp_path / "work")
        yield Housekeeper(worker, services.jobs, "host-1-slot0", 0, give_up=pytest.fail)
        services.close()


def test_a_heartbeat_tells_what_is_wrong_with_the_model(housekeeper: Housekeeper) -> None:
    housekeeper.beat()
    assert housekeeper.jobs.workers(30) == (WorkerSeen("host-1-slot0", None),)

    housekeeper.model_problem = lambda: "The model base is damaged."
    housekeeper.look_at_model()
    housekeeper.beat()

    assert housekeeper.jobs.workers(30) == (
        WorkerSeen("host-1-slot0", "The model base is damaged."),
    )


def test_a_worker_that_left_is_not_brought_back_by_a_late_heartbeat(
    housekeeper: Housekeeper,
) -> None:
    housekeeper.beat()
    beating = [threading.Thread(target=housekeeper.beat) for _ in range(10)]
    for each in beating[:5]:
        each.start()
    housekeeper.leave()
    for each in beating[5:]:
        each.start()
    for each in beating:
        each.join()

    assert housekeeper.jobs.workers(30) == ()


def test_while_a_worker_winds_down_it_goes_on_beating_and_does_nothing_else(
    housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = list[str]()
    monkeypatch.setattr(housekeeper, "beat", lambda: done.append("beat"))
    housekeeper.wind_down()
    reaping = threading.Thread(
        target=housekeeper._forever, args=(0.05, lambda: done.append("reap")), daemon=True
    )
    beating = threading.Thread(
        target=housekeeper._forever, args=(0.05, housekeeper.beat), daemon=True
    )
    reaping.start()
    beating.start()
    reaping.join(5)
    time.sleep(0.3)

    assert not reaping.is_alive()
    assert beating.is_alive()
    assert set(done) == {"beat"}


def test_a_silent_worker_is_gone_only_for_one_that_has_been_beating_all_the_while(
    housekeeper: Housekeeper,
) -> None:
    owners = {"silent", "alive", "signed-off"}
    ledger = housekeeper.worker.ledger
    for name in ("silent", "alive", "host-1-slot0"):
        ledger.beat(name)
    with housekeeper.jobs._engine.begin() as connection:
        silent = sa.update(workers).where(workers.c.executor_id == "silent")
        connection.execute(silent.values(beat_at_s=workers.c.beat_at_s - SILENT_AFTER_S - 5))

    assert housekeeper._gone(owners) == {"signed-off"}

    housekeeper._beating_since_s -= SILENT_AFTER_S + 1
    assert housekeeper._gone(owners) == {"silent", "signed-off"}


def test_an_outage_makes_a_worker_wait_before_it_believes_in_silence(
    housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnavailable("away")

    housekeeper._beating_since_s -= SILENT_AFTER_S + 1
    with monkeypatch.context() as outage:
        outage.setattr(Ledger, "beat", away)
        with pytest.raises(DatabaseUnavailable):
            housekeeper.beat()
    assert housekeeper._gone({"unheard"}) == {"unheard"}  # it signed off: that is no silence
    housekeeper.worker.ledger.beat("unheard")
    assert housekeeper._gone({"unheard"}) == set()

    housekeeper.beat()

    assert time.monotonic() - housekeeper._beating_since_s < SILENT_AFTER_S


def test_a_slow_look_at_the_model_holds_up_no_heartbeat(housekeeper: Housekeeper) -> None:
    done = threading.Event()
    housekeeper.model_problem = lambda: str(done.wait(20))
    looking = threading.Thread(target=housekeeper.look_at_model)
    looking.start()

    began_s = time.monotonic()
    housekeeper.beat()
    housekeeper.leave()

    assert time.monotonic() - began_s < 5
    done.set()
    looking.join()


def test_a_workflow_that_runs_twice_is_under_way_until_both_ended() -> None:
    under_way = UnderWay()
    with under_way.counting("a"):
        with under_way.counting("a"):
            assert under_way.names() == {"a"}
        assert under_way.names() == {"a"}
    assert under_way.names() == set()


def test_a_duty_that_fails_holds_up_no_other(
    housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = list[str]()

    def refused(*_: object) -> int:
        raise StorageUnavailable("tidy up", "AccessDenied")

    monkeypatch.setattr(housekeeper.worker.tools.storage, "sweep", refused)
    monkeypatch.setattr(housekeeper, "_forget_old_deliveries", lambda: done.append("engine"))
    monkeypatch.setattr(housekeeper, "_forget_expired_jobs", lambda: done.append("jobs"))

    housekeeper.tidy()

    assert done == ["engine", "jobs"]


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, housekeeper: Housekeeper) -> Storage:
    if request.param == "local":
        return housekeeper.worker.tools.storage
    return S3Storage(fresh_bucket())


def test_retention_removes_what_came_through_us_and_nothing_else(
    housekeeper: Housekeeper, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "uploads/0123456789abcdef0123456789abcdef"
    record_upload(storage, storage.put_bytes(f"{folder}/ours.mp4", b"ours"))
    theirs = {f"{folder}/theirs.mp4", f"{folder}/sub/theirs.mp4", "uploads/2026/theirs.mp4"}
    for key in theirs:
        storage.put_bytes(key, b"theirs")
    storage.put_bytes(f"{folder}/sums.mp4", b"theirs")
    storage.put_bytes(f"{folder}/sums.mp4.sha256", b"0123  sums.mp4\n")  # as sha256sum writes it
    tools = replace(housekeeper.worker.tools, storage=storage)
    housekeeper.worker = replace(housekeeper.worker, tools=tools)
    housekeeper.retention_days = 1
    two_days_on = now_ms() + 2 * 24 * 3600 * 1000
    monkeypatch.setattr(housekeeping, "now_ms", lambda: two_days_on)

    housekeeper._forget_unused_uploads()

    left = {found.key for found in storage.list_objects("uploads")}
    assert left == theirs | {f"{folder}/sums.mp4", f"{folder}/sums.mp4.sha256"}
