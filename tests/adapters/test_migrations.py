from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from structlog.testing import capture_logs

from proofreel.adapters import database as db
from proofreel.adapters import migrations
from proofreel.adapters.migrations import VERSION_TABLE, DatabaseUnreachable, migrate
from tests.adapters.job_setup import DATABASES, fresh_database, opened
from tests.ports import free_port
from tests.postgres_server import PASSWORD, PostgresServer, migrated_template, postgres_server

FIRST_RELEASE = Path(__file__).with_name("first_release.sql").read_text()
OLD_JOB = """INSERT INTO proofreel_job (id, name, source, source_key, options, status, stage,
 progress, attempt, created_at_ms, updated_at_ms, request_sha256) VALUES
 ('01kawwxy0000000000000000ab', 'old.mp4',
 '{"key": "uploads/a/old.mp4", "sha256": "", "size_bytes": 1}', 'uploads/a/old.mp4',
 '{"model": null, "language": null, "task": "transcribe", "prompt": null}', 'queued', '',
 0, 1, 1764000000000, 1764000000000, '')"""
# Says that it is ready, waits for the others, then does its work.
STARTER = """
import sys
from proofreel.adapters.migrations import migrate
print("ready", flush=True)
sys.stdin.readline()
migrate(sys.argv[1])
"""


@pytest.fixture(params=DATABASES)
def url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with fresh_database(tmp_path, request.param, migrated=False) as made:
        yield made


def run_sql(url: str, *statements: str) -> None:
    engine = db.open_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement.replace(":", r"\:")))
    engine.dispose()


def make_first_release(url: str) -> None:
    run_sql(url, *FIRST_RELEASE.split(";\n")[:-1], OLD_JOB)


def revision(url: str) -> str | None:
    engine = db.open_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        found = context.get_current_revision()
    engine.dispose()
    return found


def migrate_in_eight_processes(url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60) for process in started]
    assert [(process.returncode, *said) for process, said in zip(started, told, strict=True)] == [
        (0, "", "")
    ] * 8


def test_eight_processes_at_once_make_one_whole_database(url: str, tmp_path: Path) -> None:
    migrate_in_eight_processes(url)

    with opened(tmp_path, url) as setup:
        job = setup.jobs.submit(setup.spec())
        assert setup.engine_status(f"{job.id}-1") == "ENQUEUED"
    assert revision(url) == "0002"


def test_eight_processes_at_once_take_over_a_database_of_the_first_release(
    url: str, tmp_path: Path
) -> None:
    make_first_release(url)

    migrate_in_eight_processes(url)

    with opened(tmp_path, url) as setup:
        (old,) = setup.jobs.list().items
        assert (old.name, old.status, old.traceparent) == ("old.mp4", "queued", None)
        assert setup.jobs.submit(setup.spec(), traceparent="00-ab-cd-01").traceparent
    assert revision(url) == "0002"


def test_the_revisions_make_the_very_tables_that_the_code_names(url: str) -> None:
    migrate(url)
    engine = db.open_engine(url)

    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        different = [
            change
            for change in compare_metadata(context, db.metadata)
            if "proofreel_" in str(change)  # the rest is the engine's, beside ours on SQLite
        ]
    engine.dispose()

    assert different == []


def test_a_migration_that_fails_leaves_the_database_as_it_was(url: str) -> None:
    make_first_release(url)
    run_sql(url, "ALTER TABLE proofreel_worker ADD COLUMN model_problem TEXT")  # in its way

    with pytest.raises(db.DatabaseUnavailable):
        migrate(url)

    assert revision(url) is None
    run_sql(url, "ALTER TABLE proofreel_worker DROP COLUMN model_problem")
    migrate(url)
    assert revision(url) == "0002"


def test_a_database_of_a_later_release_is_used_as_it_is(url: str, tmp_path: Path) -> None:
    migrate(url)
    run_sql(
        url,
        "ALTER TABLE proofreel_job ADD COLUMN priority INTEGER",
        f"UPDATE {VERSION_TABLE} SET version_num = '0003'",  # noqa: S608
    )

    with capture_logs() as logs:
        migrate(url)

    assert [(line["event"], line["revision"]) for line in logs] == [
        ("database_newer_than_program", "0003")
    ]
    assert revision(url) == "0003"
    with opened(tmp_path, url) as setup:
        job = setup.jobs.submit(setup.spec())
        newer = '{"key": "uploads/a/a.mp4", "sha256": "", "size_bytes": 1, "since": 3}'
        run_sql(url, f"UPDATE proofreel_job SET source = '{newer}'")  # noqa: S608
        assert setup.jobs.get(job.id).source.size_bytes == 1
        assert setup.jobs.cancel(job.id).status == "cancelled"


def test_the_first_release_can_read_what_this_one_writes(url: str, tmp_path: Path) -> None:
    migrate(url)

    with opened(tmp_path, url) as setup:
        setup.jobs.submit(setup.spec())
        with setup.engine.connect() as connection:
            (row,) = connection.execute(sa.select(db.jobs.c.source, db.jobs.c.options)).all()

    assert row.source.keys() == {"key", "sha256", "size_bytes"}
    assert row.options.keys() == {"model", "language", "task", "prompt"}


def test_a_process_that_migrates_for_too_long_is_not_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = db.open_engine(url)
    monkeypatch.setattr(migrations, "_LOCK_WITHIN_S", 0.3)

    with migrations._only_one(engine), pytest.raises(db.DatabaseUnavailable) as caught:
        migrate(url)

    assert "another process" in caught.value.detail
    migrate(url)
    engine.dispose()


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return postgres_server()


def test_a_server_that_is_not_there_is_told_as_something_to_try_again() -> None:
    port = free_port()
    url = f"postgresql://someone:{PASSWORD}@127.0.0.1:{port}/proofreel"

    with pytest.raises(DatabaseUnreachable) as caught:
        migrate(url)

    assert caught.value.retryable
    assert str(caught.value) == (
        f"The database at 127.0.0.1:{port} cannot be reached: the connection was refused."
    )
    assert PASSWORD not in str(caught.value) + caught.value.detail


@pytest.mark.parametrize("host", ["no-such-host.invalid", "name with spaces"])
def test_a_server_without_an_address_may_get_one(host: str) -> None:
    with pytest.raises(DatabaseUnreachable, match="its name is not known"):
        migrate(f"postgresql://{host}/proofreel")


@pytest.mark.parametrize(
    ("credentials", "database", "told"),
    [
        (f"postgres:no{PASSWORD}", "postgres", "refuses its user or password"),
        (f"nobody:{PASSWORD}", "postgres", "refuses its user or password"),
        ("postgres", "postgres", "wants a password"),
        (f"postgres:{PASSWORD}", "missing", "no such database"),
        (f"postgres:{PASSWORD}", "postgres?sslmode=require", "asks for TLS"),
        (f"postgres:{PASSWORD}", "postgres?sslmode=perhaps", "unknown or has a wrong value"),
        (f"postgres:{PASSWORD}", "postgres?colour=blue", "unknown or has a wrong value"),
        (f"guest:{PASSWORD}", "postgres", "may not create tables"),
    ],
)
def test_a_refusal_of_the_server_names_the_variable_and_never_the_password(
    server: PostgresServer, credentials: str, database: str, told: str
) -> None:
    known = b"SELECT 1 FROM pg_roles WHERE rolname = 'guest'"
    if not server.execute(known):
        server.execute(b"CREATE ROLE guest LOGIN PASSWORD '%s'" % PASSWORD.encode())

    with pytest.raises(db.DatabaseMisconfigured) as caught:
        migrate(f"postgresql://{credentials}@127.0.0.1:{server.port}/{database}")

    said = f"{caught.value} {caught.value.detail}"
    assert "PROOFREEL_DATABASE_URL" in said
    assert told in said
    assert PASSWORD not in said


def test_the_short_name_of_postgresql_and_its_parameters_are_taken(server: PostgresServer) -> None:
    name = server.make_database(template=migrated_template())
    url = f"postgres://postgres:{PASSWORD}@127.0.0.1:{server.port}/{name}?sslmode=prefer"

    migrate(f"{url}&application_name=mine")

    engine = db.open_engine(f"{url}&application_name=mine")
    with engine.connect() as connection:
        assert connection.execute(sa.text("SHOW application_name")).scalar_one() == "mine"
    engine.dispose()
    server.drop_database(name)
