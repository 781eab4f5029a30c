"""Brings the database up to date: the job engine's tables by its own means, ours by Alembic.

A migration may only add: the release before it must go on over the new tables, since a rollback
does not take them away again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dbos import DBOS
from sqlalchemy.exc import DBAPIError

from proofreel.adapters import database as db
from proofreel.adapters.postgres import refusal, silence

log = structlog.get_logger()

VERSION_TABLE = "proofreel_schema"
_BEFORE_VERSIONS = "0001"  # what the release made that kept no version yet
_LOCK = 7052801  # PostgreSQL: any number, as long as nobody else takes it
_LOCK_WITHIN_S = 120.0
_LOCK_POLL_S = 0.1


class DatabaseUnreachable(db.DatabaseUnavailable):
    """The database could not be opened at the start; `why` the one at `where` could not."""

    code = "database_unreachable"

    def __init__(self, where: str, why: str, reason: str = "") -> None:
        super().__init__(reason)
        self.args = (where, why, reason)
        self.where, self.why = where, why

    def __str__(self) -> str:
        return f"The database at {self.where} cannot be reached: {self.why}."


def migrate(url: str) -> None:
    """Create or bring up to date the engine's tables and ours; one process at a time does it.

    Raises DatabaseMisconfigured or DatabaseUnavailable.
    """
    engine = db.open_engine(url, bounded=False)
    try:
        with db.database_errors(), _tables_may_be_made(), _only_one(engine):
            DBOS.migrate(db.engine_address(url))
            with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    # a backup may hold our tables: fail and come again, lest all queue behind us
                    connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
                else:
                    connection.execute(sa.text("BEGIN IMMEDIATE"))
                _upgrade(connection)
    finally:
        engine.dispose()


def _upgrade(connection: sa.Connection) -> None:
    """Take our tables to the last revision, all of it or nothing.

    Tables of before there were versions are taken over as they are. Ones of a later release are
    left alone: its changes only add, and an operator who goes back to this one needs it to start.
    """
    script = ScriptDirectory(str(Path(__file__).parent))
    options = {
        "version_table": VERSION_TABLE,
        "fn": lambda revision, _: script._upgrade_revs("head", revision),  # no public call runs it
    }
    context = MigrationContext.configure(connection, opts=options)
    found = context.get_current_revision()
    if found is None and sa.inspect(connection).has_table(db.jobs.name):
        context.stamp(script, _BEFORE_VERSIONS)
    known = {each.revision for each in script.walk_revisions()}
    if found is not None and found not in known:
        log.warning("database_newer_than_program", revision=found, newest_known=max(known))
        return
    with Operations.context(context):
        context.run_migrations()


@contextmanager
def _tables_may_be_made() -> Iterator[None]:
    """Turn the server's refusals, which no waiting mends, into DatabaseMisconfigured."""
    try:
        yield
    except DBAPIError as error:
        if reason := refusal(error.orig):
            raise db.DatabaseMisconfigured(reason) from None
        raise


@contextmanager
def _only_one(engine: sa.Engine) -> Iterator[None]:
    """Hold all other processes back that would migrate this database."""
    if engine.dialect.name == "postgresql":
        with _connected(engine) as connection, _held_in(connection):
            yield
    else:
        with _held_beside(Path(str(engine.url.database))):
            with engine.connect():  # sets write-ahead mode on a new file before anyone else
                pass
            yield


@contextmanager
def _connected(engine: sa.Engine) -> Iterator[sa.Connection]:
    try:
        connection = engine.connect()
    except DBAPIError as error:
        if refusal(error.orig):
            raise
        where = f"{engine.url.host or 'a local socket'}:{engine.url.port or 5432}"
        raise DatabaseUnreachable(where, silence(error.orig), str(error.orig)) from None
    with connection.execution_options(isolation_level="AUTOCOMMIT"):
        yield connection


@contextmanager
def _held_in(connection: sa.Connection) -> Iterator[None]:
    """Hold a lock of the session's: a crash lets go of it. Asked for again and again, since one
    that waits inside the server would hold up the engine's CREATE INDEX CONCURRENTLY.
    """
    number = {"number": _LOCK}
    take = sa.text("SELECT pg_try_advisory_lock(:number)")
    _patiently(lambda: bool(connection.execute(take, number).scalar_one()))
    try:
        yield
    finally:
        connection.execute(sa.text("SELECT pg_advisory_unlock(:number)"), number)


@contextmanager
def _held_beside(database: Path) -> Iterator[None]:
    import fcntl  # late: `proofreel transcribe` works where it does not exist

    try:
        lock_file = database.with_name(f"{database.name}.lock").open("ab")
    except OSError as error:
        reason = f"its folder cannot be written ({error.strerror})"
        raise db.DatabaseMisconfigured(reason) from error
    with lock_file as lock:

        def take() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        _patiently(take)
        yield


def _patiently(take: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _LOCK_WITHIN_S
    while not take():
        if time.monotonic() > until_s:
            raise db.DatabaseUnavailable("another process has been migrating it for too long")
        time.sleep(_LOCK_POLL_S)
