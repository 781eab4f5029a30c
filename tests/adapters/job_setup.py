"""Real jobs over a database file and a storage folder, for tests that need no worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import sqlalchemy as sa

from proofreel.adapters.database import migrate, open_engine
from proofreel.adapters.jobs import Jobs
from proofreel.adapters.ledger import Ledger
from proofreel.adapters.local_storage import LocalStorage
from proofreel.adapters.queue import JobQueue
from proofreel.core.model import JobSpec, SpeechOptions


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

    def engine_status(self, workflow: str) -> str | None:
        """Return what the job engine itself holds of a workflow."""
        query = sa.text("SELECT status FROM workflow_status WHERE workflow_uuid = :id")
        with self.engine.connect() as connection:
            found = connection.execute(query, {"id": workflow}).scalar_one_or_none()
        return None if found is None else str(found)


@contextmanager
def job_setup(folder: Path) -> Iterator[JobSetup]:
    url = f"sqlite:///{folder / 'proofreel.sqlite'}"
    migrate(url)
    engine = open_engine(url)
    queue = JobQueue(engine)
    storage = LocalStorage(folder / "files")
    try:
        yield JobSetup(url, engine, storage, Jobs(engine, queue, storage), Ledger(engine, queue))
    finally:
        queue.close()
        engine.dispose()
