"""Real jobs over a database of either kind and a storage folder, for tests that need no worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from proofreel.adapters.database import open_engine
from proofreel.adapters.jobs import Jobs
from proofreel.adapters.ledger import Ledger
from proofreel.adapters.local_storage import LocalStorage
from proofreel.adapters.migrations import migrate
from proofreel.adapters.queue import JobQueue
from proofreel.core.jobs import JobResult
from proofreel.core.model import JobSpec, SpeechOptions
from tests.postgres_server import migrated_template, postgres_server

Database = Literal["sqlite", "postgresql"]
DATABASES: tuple[Database, ...] = ("sqlite", "postgresql")


@dataclass(frozen=True)
class JobSetup:
    url: str
    engine: sa.Engine
    storage: LocalStorage
    jobs: Jobs
    ledger: Ledger

    def spec(self, data: bytes = b"sound", name: str = "lecture.mp4") -> JobSpec:
        """Store `data` as an upload and return what a job over it needs."""
        folder = hashlib.sha256(f"{name} {len(data)}".encode()).hexdigest()[:32]
        key = f"uploads/{folder}/{name}"
        return JobSpec(self.storage.put_stream(key, BytesIO(data)), name, SpeechOptions())

    def result(self) -> JobResult:
        """Return what a job without a single file left behind."""
        return JobResult((), 1000, "en", {}, "1 s; all good.", {})

    def engine_status(self, workflow: str) -> str | None:
        """Return what the job engine itself holds of a workflow."""
        table = self.engine_table("workflow_status")
        query = sa.text(f"SELECT status FROM {table} WHERE workflow_uuid = :id")  # noqa: S608
        with self.engine.connect() as connection:
            found = connection.execute(query, {"id": workflow}).scalar_one_or_none()
        return None if found is None else str(found)

    def engine_table(self, name: str) -> str:
        """Return how a table of the job engine's is called in a statement."""
        return name if self.engine.dialect.name == "sqlite" else f"dbos.{name}"


@contextmanager
def fresh_database(folder: Path, kind: Database, *, migrated: bool = True) -> Iterator[str]:
    """Make a database for the length of the block and return its address."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'proofreel.sqlite'}"
        if migrated:
            migrate(url)
        yield url
        return
    server = postgres_server()
    name = server.make_database(template=migrated_template() if migrated else "template0")
    try:
        yield server.url(name)
    finally:
        server.drop_database(name)


@contextmanager
def job_setup(
    folder: Path, kind: Database = "sqlite", ended: Callable[[str], None] = lambda _: None
) -> Iterator[JobSetup]:
    with fresh_database(folder, kind) as url, opened(folder, url, ended) as setup:
        yield setup


@contextmanager
def opened(
    folder: Path, url: str, ended: Callable[[str], None] = lambda _: None
) -> Iterator[JobSetup]:
    """Open a database that is up to date."""
    engine = open_engine(url)
    queue = JobQueue(engine)
    storage = LocalStorage(folder / "files")
    try:
        jobs = Jobs(engine, queue, storage, ended)
        yield JobSetup(url, engine, storage, jobs, Ledger(engine, queue, ended))
    finally:
        queue.close()
        engine.dispose()
