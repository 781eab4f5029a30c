"""PostgreSQL: how we connect to it, how long it may keep us waiting, what its refusals mean."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.abc import PQGen
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.pool import ConnectionPoolEntry

RV = TypeVar("RV")

# What libpq does about a server that is gone (its documentation, "Parameter Key Words"). An address
# that sets one of them itself keeps it.
_PATIENCE = {
    "connect_timeout": "5",  # seconds
    "keepalives_idle": "10",  # seconds
    "keepalives_interval": "5",  # seconds
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",  # milliseconds
}
# What the server does about a statement of ours, in milliseconds: a request gets its 503 in time.
_LIMITS_MS = {
    "statement_timeout": 10_000,
    "lock_timeout": 5_000,
    "idle_in_transaction_session_timeout": 30_000,
}
_ANSWER_WITHIN_S = 12.0  # past every limit of the server's: it, or the way to it, is stuck
_POOL_WAIT_S = 5.0

_REFUSALS = {
    "password authentication failed": "the server refuses its user or password",
    "no password supplied": "the server wants a password and it has none",
    r"role \".*\" does not exist": "the server does not know its user",
    r"database \".*\" does not exist": "there is no such database on the server",
    r"role \".*\" is not permitted to log in": "its user may not log in",
    "permission denied for database": "its user may not use this database",
    "no pg_hba.conf entry": "the server lets this user in neither from here nor to this database",
    "does not support SSL": "it asks for TLS and the server has none",
    "certificate": "the server's certificate cannot be verified",
    "^invalid |: invalid ": "a parameter of it is unknown or has a wrong value",
}
_INSUFFICIENT_PRIVILEGE = "42501"  # PostgreSQL documentation, appendix A


def postgres_address(url: sa.URL) -> sa.URL:
    """Return `url` under the name that every library knows, with patience for a server in need."""
    given = url.set(drivername="postgresql")
    missing = {name: value for name, value in _PATIENCE.items() if name not in given.query}
    return given.update_query_dict(missing)


def postgres_engine(address: sa.URL, *, bounded: bool) -> sa.Engine:
    """Return an engine whose statements end in time if they are `bounded`."""
    if "application_name" not in address.query:
        address = address.update_query_dict({"application_name": "proofreel"})
    engine = sa.create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_size=10,
        max_overflow=10,
        pool_timeout=_POOL_WAIT_S,
        pool_pre_ping=True,  # a connection that a restart of the server broke is replaced unseen
    )
    if bounded:
        sa.event.listen(engine, "do_connect", _connect_bounded)
        own_options = str(address.query.get("options", ""))
        limits = {name: ms for name, ms in _LIMITS_MS.items() if name not in own_options}

        @sa.event.listens_for(engine, "connect")
        def limit(connection: DBAPIConnection, _: object) -> None:
            cursor = connection.cursor()
            for name, ms in limits.items():
                cursor.execute(f"SET {name} = {ms}")
            cursor.close()
            connection.commit()  # the pool's rollback would undo it

    return engine


class _BoundedConnection(psycopg.Connection[Any]):
    """One that does not wait for ever for a server that took the question and fell silent."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, timeout or _ANSWER_WITHIN_S)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.close()  # its answer may still come, and would be taken for the next one
            raise


def _connect_bounded(
    _dialect: Dialect, _entry: ConnectionPoolEntry, args: Any, parameters: Any
) -> DBAPIConnection:
    connection: Any = _BoundedConnection.connect(*args, **parameters)
    return connection  # type: ignore[no-any-return]  # the two agree on what a connection is


def refusal(error: BaseException | None) -> str | None:
    """Say what is wrong with the address or the rights of its user, None if it may be a matter of
    time. By the server's English words: it sends no code before a connection stands.
    """
    if isinstance(error, psycopg.Error) and error.sqlstate:  # a statement failed
        lacks_rights = error.sqlstate == _INSUFFICIENT_PRIVILEGE
        return "its user may not create tables in this database" if lacks_rights else None
    told = (reason for said, reason in _REFUSALS.items() if re.search(said, str(error)))
    return next(told, None)


def silence(error: BaseException | None) -> str:
    """Say in a few words why the server could not be reached."""
    text = str(error).casefold()
    if "refused" in text:
        return "the connection was refused"
    if "timeout" in text or "timed out" in text:
        return "there was no answer in time"
    if "resolve" in text or "translate host name" in text:
        return "its name is not known"
    if "starting up" in text:
        return "it is starting up"
    return "the connection failed"
