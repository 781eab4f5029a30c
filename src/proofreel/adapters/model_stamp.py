"""A note that files were checked, so that they need not be hashed at every start."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import structlog

log = structlog.get_logger()


class Stamp:
    """A note that a folder's files were found right, with their sizes and times of change."""

    def __init__(self, root: Path, folder: Path, files: tuple[str, ...]) -> None:
        """Speak of `files` in `folder`; the note lies under `root`."""
        key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
        self._note, self._folder = root / ".verified" / f"{key}.json", folder
        self._files = files

    def holds(self) -> bool:
        """Whether the note speaks of the files as they are now."""
        try:
            return bool(json.loads(self._note.read_text()) == self._state())
        except (OSError, ValueError):
            return False

    def write(self) -> None:
        """Write the note; a root that cannot be written only means hashing again next time."""
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            draft = self._note.with_name(f"{self._note.name}.{os.getpid()}")
            draft.write_text(json.dumps(self._state()))
            draft.replace(self._note)
        except OSError as error:
            log.debug("no note of a verified model", detail=str(error))

    def _state(self) -> dict[str, list[int]]:
        state: dict[str, list[int]] = {}
        for file in self._files:
            if (self._folder / file).is_file():
                about = (self._folder / file).stat()
                state[file] = [about.st_size, about.st_mtime_ns, about.st_ctime_ns]
        return state
