from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proofreel.bootstrap import make_services, make_worker
from proofreel.core.jobs import WorkerSeen
from proofreel.settings import load_settings
from proofreel.workflows.housekeeping import Housekeeper
from tests.adapters.job_setup import DATABASES, fresh_database


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
