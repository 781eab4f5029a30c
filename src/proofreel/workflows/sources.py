"""Recordings on this machine's disk while their jobs are at work: fetched once, not at each hop."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from proofreel.adapters.storage import Storage
from proofreel.core.model import ArtifactRef

_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP)


class Sources:
    """Copies of recordings in `folder`, one a job. Safe between threads; loss costs a fetch."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage, self._folder = storage, folder
        self._registry = threading.Lock()
        self._locks: dict[Path, tuple[threading.Lock, int]] = {}  # with how many want each

    def provide(
        self, prefix: str, ref: ArtifactRef, target: Path, check: Callable[[], None]
    ) -> None:
        """Make `target` the recording of the job with that prefix, for reading only.

        Raises what `Storage.fetch` raises, and what `check` does, which is called all the while.
        """
        kept = self._kept(prefix)
        with self._turn(kept):
            if not kept.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._storage.fetch(ref, kept, check=check)
            target.unlink(missing_ok=True)
            try:
                os.link(kept, target)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                shutil.copyfile(kept, target)

    def forget(self, prefix: str) -> None:
        """Drop the copy; what was provided stays."""
        kept = self._kept(prefix)
        with self._turn(kept):
            kept.unlink(missing_ok=True)

    @contextmanager
    def _turn(self, kept: Path) -> Iterator[None]:
        """Let one at a time work on a copy; nothing is kept of copies that nobody works on."""
        with self._registry:
            lock, wanted = self._locks.get(kept, (threading.Lock(), 0))
            self._locks[kept] = (lock, wanted + 1)
        try:
            with lock:
                yield
        finally:
            with self._registry:
                lock, wanted = self._locks.pop(kept)
                if wanted > 1:
                    self._locks[kept] = (lock, wanted - 1)

    def _kept(self, prefix: str) -> Path:
        return self._folder / hashlib.sha256(prefix.encode()).hexdigest()[:32]
