from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from proofreel.adapters import database as db
from proofreel.adapters import postgres
from tests.adapters.job_setup import DATABASES, JobSetup, fresh_database, job_setup, opened
from tests.postgres_server import PASSWORD, migrated_template, postgres_server
from tests.relay import Relay, relay


@pytest.fixture(params=DATABASES)
def setup(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[JobSetup]:
    with job_setup(tmp_path, request.param) as made:
        yield made


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "not a database address"),
        ("postgresql://user:secret@host:port/x", "not a database address"),
        ("mysql://x/y", "begin with"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("postgresql://user:half@secret@host/x", "%40"),
        ("postgresql://user:secret@host", "names no database"),
    ],
)
def test_a_database_address_that_cannot_work_is_told_by_its_variable(url: str, told: str) -> None:
    with pytest.raises(db.DatabaseMisconfigured, match="PROOFREEL_DATABASE_URL") as caught:
        db.open_engine(url)

    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_address_keeps_its_parameters_and_gains_patience() -> None:
    address = db.engine_address(
        "postgres://u:p%40w@db:5433/x?sslmode=verify-full&connect_timeout=9"
    )

    assert address.startswith("postgresql://u:p%40w@db:5433/x?")
    query = sa.make_url(address).query
    assert (query["sslmode"], query["connect_timeout"]) == ("verify-full", "9")
    assert query["tcp_user_timeout"] == "15000"


def test_a_locked_database_is_told_after_a_short_wait(
    setup: JobSetup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(db, "_BUSY_WAIT_MS", 200)
    monkeypatch.setitem(postgres._LIMITS_MS, "lock_timeout", 200)
    spec = setup.spec()
    on_sqlite = setup.engine.dialect.name == "sqlite"
    lock = "BEGIN IMMEDIATE" if on_sqlite else "LOCK TABLE proofreel_job IN EXCLUSIVE MODE"

    with opened(tmp_path, setup.url) as hasty:  # its connections are made with the limits above
        with setup.engine.connect() as locker:
            locker.execute(sa.text(lock))
            started_s = time.monotonic()
            with pytest.raises(db.DatabaseUnavailable):
                hasty.jobs.submit(spec)
            assert time.monotonic() - started_s < 5

        assert hasty.jobs.submit(spec).status == "queued"


def test_a_statement_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres._LIMITS_MS, "statement_timeout", 200)
    engine = db.open_engine(postgres_server().url(migrated_template()))

    with pytest.raises(db.DatabaseUnavailable, match="not answering"):  # noqa: SIM117
        with db.database_errors(), engine.connect() as connection:
            connection.execute(sa.text("SELECT pg_sleep(5)"))
    with engine.connect() as connection:
        assert connection.execute(sa.text("SHOW lock_timeout")).scalar_one() == "5s"
    engine.dispose()


def test_limits_that_the_address_sets_itself_are_kept(tmp_path: Path) -> None:
    with fresh_database(tmp_path, "postgresql") as url:
        engine = db.open_engine(f"{url}&options=-c%20statement_timeout%3D7s")
        with engine.connect() as connection:
            assert connection.execute(sa.text("SHOW statement_timeout")).scalar_one() == "7s"
        engine.dispose()


@pytest.fixture
def network() -> Iterator[Relay]:
    with relay(postgres_server().port) as made:
        yield made


@pytest.fixture
def far(tmp_path: Path, network: Relay) -> Iterator[JobSetup]:
    """Jobs in a database at the other end of `network`."""
    server = postgres_server()
    name = server.make_database(template=migrated_template())
    url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{network.port}/{name}"
    with opened(tmp_path, url) as setup:
        yield setup
    server.drop_database(name)


def test_a_database_that_goes_and_comes_back_is_used_again(far: JobSetup, network: Relay) -> None:
    job = far.jobs.submit(far.spec())
    network.cut()

    with pytest.raises(db.DatabaseUnavailable):
        far.jobs.get(job.id)
    with pytest.raises(db.DatabaseUnavailable):
        far.jobs.submit(far.spec())
    network.restore()

    assert far.jobs.get(job.id) == job
    assert far.jobs.submit(far.spec()).status == "queued"


def test_a_broken_connection_is_replaced_unseen(far: JobSetup, network: Relay) -> None:
    job = far.jobs.submit(far.spec())
    network.cut()
    network.restore()

    assert far.jobs.get(job.id) == job


def test_a_database_that_falls_silent_is_not_waited_for_for_ever(
    far: JobSetup, network: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_ANSWER_WITHIN_S", 0.5)
    job = far.jobs.submit(far.spec())
    network.fall_silent()
    outcomes = list[str]()

    def ask() -> None:
        try:
            far.jobs.get(job.id)
        except db.DatabaseUnavailable as error:
            outcomes.append(error.detail)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    started_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(outcomes) == 8
    assert time.monotonic() - started_s < 20
    assert PASSWORD not in "".join(outcomes)
    network.restore()
    assert far.jobs.get(job.id) == job
