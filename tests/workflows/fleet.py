"""Web and workers as on several hosts: apart, over one PostgreSQL and one storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.workflows.service import Service, running


@dataclass(frozen=True)
class Fleet:
    """The web half and the workers; each has a data folder of its own."""

    web: Service
    workers: tuple[Service, ...]

    def events(self, job_id: str, event: str) -> list[dict[str, Any]]:
        """Return the lines of every worker's log that name this job and event."""
        return [line for worker in self.workers for line in worker.events(job_id, event)]


@contextmanager
def running_fleet(
    folder: Path, database_url: str, storage: Mapping[str, str], *, workers: int = 2, **more: str
) -> Iterator[Fleet]:
    """Run web and workers for the length of the block.

    `storage` are the settings of the storage that all share; empty: a folder, by a link.
    """
    settings = {**more, **storage, "PROOFREEL_DATABASE_URL": database_url}
    with ExitStack() as stack:
        started = []
        for name in ("web", *(f"worker{number}" for number in range(workers))):
            home = folder / name
            home.mkdir()
            if not storage:
                _share(folder / "shared", home / "data" / "files")
            command = name.rstrip("0123456789")
            started.append(stack.enter_context(running(home, command, **settings)))
        yield Fleet(started[0], tuple(started[1:]))


def _share(shared: Path, link: Path) -> None:
    shared.mkdir(exist_ok=True)
    link.parent.mkdir()
    link.symlink_to(shared, target_is_directory=True)
