"""What the service needs before it can do its work, each part as a question with a short answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from proofreel.adapters.jobs import Jobs
from proofreel.adapters.models import ModelStore
from proofreel.adapters.storage import Storage
from proofreel.core.jobs import WorkerSeen
from proofreel.errors import ProofreelError, Unavailable

WORKER_SEEN_WITHIN_S = 30  # six beats


class DiskFull(Unavailable):
    """The data folder's disk has less room than an upload needs."""

    code = "disk_full"

    def __init__(self, free_bytes: int, least_bytes: int) -> None:
        super().__init__(free_bytes, least_bytes)
        self.free_bytes, self.least_bytes = free_bytes, least_bytes

    def __str__(self) -> str:
        return (
            f"Only {_size(self.free_bytes)} are free on the disk, less than the "
            f"{_size(self.least_bytes)} of PROOFREEL_MIN_FREE_BYTES: uploads are refused."
        )


class DiskUnreadable(Unavailable):
    """The system does not say how much room the data folder has; `reason` is for the log."""

    code = "disk_unreadable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def detail(self) -> str:
        return self.reason

    def __str__(self) -> str:
        return "It cannot be told how much of the disk is free."


class ModelUnreadable(Unavailable):
    """The files of the model cannot be read; `reason` is for the log."""

    code = "model_unreadable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def detail(self) -> str:
        return self.reason

    def __str__(self) -> str:
        return "The files of the speech model cannot be read."


def checks(
    jobs: Jobs,
    storage: Storage,
    models: ModelStore,
    *,
    model: str,
    data_path: Path,
    min_free_bytes: int,
) -> Mapping[str, Callable[[], str]]:
    """Return a question per part; each answers with a sentence or raises ProofreelError."""

    def database() -> str:
        jobs.ping()
        return "The database answers."

    def files() -> str:
        storage.check()
        return "The storage answers."

    return {
        "database": database,
        "storage": files,
        "model": _ModelCheck(ModelLook(models, model), jobs),
        "disk": lambda: _disk(data_path, min_free_bytes),
        "workers": lambda: _workers(jobs),
    }


@dataclass
class ModelLook:
    """Looks at sizes and times only; reads a model through once when those changed."""

    models: ModelStore
    name: str
    _seen: object = None
    _problem: ProofreelError | None = None

    def problem(self) -> ProofreelError | None:
        """Return why the model cannot be used, None if it can."""
        state = self.models.state(self.name)
        if self._seen is None or state != self._seen:
            self._problem = self._read()
            self._seen = state
        return self._problem

    def sentence(self) -> str | None:
        """Return what a worker tells of its model at every beat, None if it is fine."""
        problem = self.problem()
        return None if problem is None else str(problem)

    def _read(self) -> ProofreelError | None:
        try:
            self.models.path(self.name)
        except ProofreelError as problem:
            return problem
        except OSError as error:
            return ModelUnreadable(str(error))
        return None


@dataclass(frozen=True)
class _ModelCheck:
    """Content with a model here, or at any worker."""

    look: ModelLook
    jobs: Jobs

    def __call__(self) -> str:
        name, problem = _title(self.look.name), self.look.problem()
        if problem is None:
            return f"The speech model “{name}” is here."
        if any(worker.model_problem is None for worker in self._workers()):
            return f"A worker has the speech model “{name}”."
        raise problem

    def _workers(self) -> tuple[WorkerSeen, ...]:
        try:
            return self.jobs.workers(WORKER_SEEN_WITHIN_S)
        except ProofreelError:  # the database says so itself
            return ()


def _disk(folder: Path, least_bytes: int) -> str:
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise DiskUnreadable(str(error)) from error
    if free_bytes < least_bytes:
        raise DiskFull(free_bytes, least_bytes)
    return f"{_size(free_bytes)} are free."


def _workers(jobs: Jobs) -> str:
    found = jobs.workers(WORKER_SEEN_WITHIN_S)
    if not found:
        return "No worker is at work: jobs wait in the queue."
    said = "1 worker is at work" if len(found) == 1 else f"{len(found)} workers are at work"
    lame = sum(worker.model_problem is not None for worker in found)
    return f"{said}, {lame} of them without a usable speech model." if lame else f"{said}."


def _title(name: str) -> str:
    return Path(name).name  # a model named by its folder: no path for strangers


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 100_000_000 else f"{n_bytes / 1e6:.0f} MB"
