"""Recordings on this machine's disk while their jobs are at work: fetched once, not at each hop."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from pathlib import Path

from proofreel.adapters.storage import Storage
from proofreel.core.model import ArtifactRef


class Sources:
    """Copies of recordings in `folder`, one a job. Safe between threads; loss costs a fetch."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage, self._folder = storage, folder
        self._fetching = threading.Lock()
        self._locks: dict[Path, threading.Lock] = {}

    def provide(self, prefix: str, ref: ArtifactRef, target: Path) -> None:
        """Make `target` the recording of the job with that prefix, for reading only.

        Raises what `Storage.fetch` raises.
        """
        kept = self._kept(prefix)
        with self._fetching:
            lock = self._locks.setdefault(kept, threading.Lock())
        with lock:
            if not kept.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._storage.fetch(ref, kept)
            target.unlink(missing_ok=True)
            try:
                os.link(kept, target)
            except OSError:  # a file system without hard links
                shutil.copyfile(kept, target)

    def forget(self, prefix: str) -> None:
        """Drop the copy; what was provided stays."""
        kept = self._kept(prefix)
        with self._fetching:
            self._locks.pop(kept, None)
        kept.unlink(missing_ok=True)

    def _kept(self, prefix: str) -> Path:
        return self._folder / hashlib.sha256(prefix.encode()).hexdigest()[:32]
