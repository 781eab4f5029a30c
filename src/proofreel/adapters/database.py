"""The one database: our tables and how it is opened. `migrations` brings it up to date.

SQLite by default, in write-ahead mode (set once on the file, it persists), one host. Every writer
takes the lock at the start of its transaction, so that two never deadlock half-way. PostgreSQL for
several hosts: `postgres` says how long it may keep us waiting.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from proofreel.adapters.postgres import postgres_address, postgres_engine
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
    sa.Column("traceparent", sa.String(64)),  # W3C trace context of the request that made it
    sa.Index("ix_proofreel_job_status_id", "status", "id"),
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
    sa.Index("ix_proofreel_delivery_created", "created_at_ms"),
    sa.Index("ix_proofreel_delivery_due", "state", "next_try_at_ms"),
)

workers = sa.Table(
    "proofreel_worker",
    metadata,
    sa.Column("executor_id", sa.String(120), primary_key=True),
    sa.Column("beat_at_s", sa.BigInteger, nullable=False),  # by the database's own clock
    sa.Column("model_problem", sa.Text),  # a sentence; NULL: its model is fine
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


def database_address(url: str) -> sa.URL:
    """Return `url` in the form that we and the job engine open it by.

    Raises DatabaseMisconfigured if it makes no sense. What is raised never names the password.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseMisconfigured("it is not a database address") from None
    kind = address.drivername.partition("+")[0]
    if kind == "sqlite":
        if not address.database or address.database == ":memory:":
            raise DatabaseMisconfigured("SQLite needs a file, since several processes share it")
        return address
    if kind not in ("postgresql", "postgres"):
        raise DatabaseMisconfigured("it must begin with sqlite:/// or postgresql://")
    if "@" in (address.host or ""):  # the rest of a password that holds an "@"
        raise DatabaseMisconfigured('an "@" in the password must be written as %40')
    if not address.database:
        raise DatabaseMisconfigured("it names no database")
    return postgres_address(address)


def engine_address(url: str) -> str:
    """Return `url` as the job engine takes it. It holds the password: never for a log."""
    return database_address(url).render_as_string(hide_password=False)


def open_engine(url: str, *, bounded: bool = True) -> sa.Engine:
    """Return an engine for `url`. Raises DatabaseMisconfigured if the address makes no sense.

    With `bounded` no statement waits for long: requests rely on it, migrations must not.
    """
    address = database_address(url)
    if address.get_backend_name() == "sqlite":
        return _sqlite_engine(address)
    return postgres_engine(address, bounded=bounded)


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        reason = f"the folder of the database cannot be made ({exc.strerror})"
        raise DatabaseMisconfigured(reason) from exc
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
