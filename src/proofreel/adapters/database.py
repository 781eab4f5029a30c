"""The one database: our tables, how it is opened, how it is brought up to date.

SQLite by default, in write-ahead mode (set once on the file, it persists), one host. Every writer
takes the lock at the start of its transaction, so that two never deadlock half-way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from dbos import DBOS
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from proofreel.errors import Misconfigured, Unavailable

_BUSY_WAIT_MS = 10_000  # SQLite: how long a writer waits for another before it gives up

metadata = sa.MetaData()

jobs = sa.Table(
    "proofreel_job",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),  # sorts by time of creation
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("source", sa.JSON, nullable=False),
    sa.Column("source_key", sa.Text, nullable=False, index=True),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("status", sa.String(16), nullable=False, index=True),
    sa.Column("stage", sa.String(16), nullable=False, default=""),
    sa.Column("progress", sa.Integer, nullable=False, default=0),
    sa.Column("attempt", sa.Integer, nullable=False, default=1),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    sa.Column("started_at_ms", sa.BigInteger),
    sa.Column("finished_at_ms", sa.BigInteger, index=True),
    sa.Column("failure", sa.JSON(none_as_null=True)),
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("idempotency_key", sa.String(255), unique=True),
    sa.Column("request_sha256", sa.String(64), nullable=False),
    sa.Column("traceparent", sa.String(64)),
)

deliveries = sa.Table(
    "proofreel_delivery",
    metadata,
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("job_id", sa.String(40), nullable=False, index=True),
    sa.Column("event", sa.String(40), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("tries", sa.JSON, nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("next_try_at_ms", sa.BigInteger),
)

workers = sa.Table(
    "proofreel_worker",
    metadata,
    sa.Column("executor_id", sa.String(120), primary_key=True),
    sa.Column("beat_at_s", sa.BigInteger, nullable=False),  # by the database's own clock
)


class DatabaseUnavailable(Unavailable):
    """The database did not answer; `reason` is for the log."""

    code = "database_unavailable"

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def detail(self) -> str:
        return self.reason

    def __str__(self) -> str:
        return "The database is not answering. Try again in a moment."


class DatabaseMisconfigured(Misconfigured):
    """The database address cannot be used; `reason` says why."""

    code = "database_misconfigured"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"PROOFREEL_DATABASE_URL cannot be used: {self.reason}."


def open_engine(url: str) -> sa.Engine:
    """Return an engine for `url`. Raises DatabaseMisconfigured if the address makes no sense."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseMisconfigured("it is not a database address") from None
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed)
    if parsed.get_backend_name() != "postgresql":
        raise DatabaseMisconfigured("it must begin with sqlite:/// or postgresql://")
    return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise DatabaseMisconfigured("SQLite needs a file, since several processes share it")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_WAIT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # an accepted job survives a power cut
        cursor.close()

    return engine


def migrate(url: str) -> None:
    """Create or bring up to date the engine's tables and ours; safe to run at the same time.

    Raises DatabaseMisconfigured or DatabaseUnavailable.
    """
    engine = open_engine(url)
    try:
        with database_errors():
            with engine.connect():  # sets write-ahead mode on a new file before anyone else
                pass
            DBOS.migrate(url)
            with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    # one creator at a time; the number is ours, any constant does
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7052801)"))
                else:
                    connection.execute(sa.text("BEGIN IMMEDIATE"))
                metadata.create_all(connection)
    finally:
        engine.dispose()


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn the driver's errors into DatabaseUnavailable."""
    try:
        yield
    except DBAPIError as exc:
        raise DatabaseUnavailable(str(exc.orig)) from exc
    except SQLAlchemyError as exc:
        raise DatabaseUnavailable(str(exc)) from exc


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def database_clock_s(connection: sa.Connection) -> int:
    """Return the database's own time in epoch seconds, the same for every worker."""
    query = (
        "SELECT CAST(extract(epoch FROM now()) AS BIGINT)"
        if connection.dialect.name == "postgresql"
        else "SELECT CAST(strftime('%s', 'now') AS INTEGER)"
    )
    return int(connection.execute(sa.text(query)).scalar_one())
