"""What every storage does, the errors it raises, and the one rule for keys.

A storage holds whole objects: a key names all bytes of one finished write, or nothing. Folders
exist only in keys. Each storage is a file beside this one; one test suite runs over all of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from proofreel.core.jobs import Artifact
from proofreel.core.model import ArtifactRef
from proofreel.errors import InvalidInput, Misconfigured, NotFound, ProofreelError, Unavailable

DAY_MS = 24 * 60 * 60 * 1000
_MAX_SEGMENTS = 4
_MAX_SEGMENT_BYTES = 160  # file systems allow 255, an S3 key 1024 in all
_LINE_BREAKS = ("Zl", "Zp")  # Unicode's line and paragraph separator


class _AboutAKey(ProofreelError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    @property
    def detail(self) -> str:
        return f"key {self.key[:200]!r}"


class InvalidKey(_AboutAKey, InvalidInput):
    """`key` breaks the rule of `check_key`."""

    code = "invalid_key"

    def __str__(self) -> str:
        return "A stored file cannot have that name."


class ObjectMissing(_AboutAKey, NotFound):
    """Nothing is stored under `key`."""

    code = "file_not_found"

    def __str__(self) -> str:
        return "That file is not here; it may have been deleted."


class UploadTooLarge(InvalidInput):
    """The stream held more than `limit_bytes`; nothing of it was kept."""

    code = "file_too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        return f"The file is larger than the {_size(self.limit_bytes)} accepted here."


class StorageFull(Unavailable):
    """There was no space for the bytes; nothing of them was kept."""

    code = "storage_full"

    def __str__(self) -> str:
        return "There is no space left to store files. Free some space, then try again."


class StorageUnavailable(Unavailable):
    """The storage could not `action`; `reason` is what it answered, for the log."""

    code = "storage_unavailable"

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(action, reason)
        self.action, self.reason = action, reason

    def __str__(self) -> str:
        return f"The file storage could not {self.action}. Try again later."

    @property
    def detail(self) -> str:
        return self.reason


class StorageMisconfigured(Misconfigured):
    """The storage will not work until someone mends the settings: `problem` says which and how."""

    code = "storage_misconfigured"

    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(problem, reason)
        self.problem, self.reason = problem, reason

    def __str__(self) -> str:
        return self.problem

    @property
    def detail(self) -> str:
        return self.reason


class ObjectDamaged(_AboutAKey, Unavailable):
    """What came from the storage is not what was put there; nothing of it may be used."""

    code = "file_damaged"

    def __str__(self) -> str:
        return "A file arrived damaged from the file storage. Try again later."


class ObjectChanged(_AboutAKey, InvalidInput):
    """Someone replaced the object that a ref without digest names."""

    code = "file_changed"

    def __str__(self) -> str:
        return "The file was replaced while we worked on it. Submit it again."


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """A stored object; `modified_at_ms` is epoch milliseconds, UTC, `etag` names the version."""

    key: str
    size_bytes: int
    modified_at_ms: int
    etag: str

    @property
    def ref(self) -> ArtifactRef:
        """This version of the object, of which nobody noted a digest."""
        return ArtifactRef(self.key, "", self.size_bytes, self.etag)


@dataclass(frozen=True, slots=True)
class Label:
    """What those who fetch an object straight from the storage are told of it."""

    content_type: str
    file_name: str


def any_version(key: str) -> ArtifactRef:
    """Return a ref to whatever lies under `key` when it is read."""
    return ArtifactRef(key, "", 0)


class Storage(Protocol):
    """Whole objects under keys. Safe to use from several threads and processes at once.

    A write is seen whole or not at all, and is durable when the call returns; of two writers of one
    key, one wins. Writes raise InvalidKey for a bad key; reads treat it as missing. Reads by ref
    never give other bytes than those it names: where the way from the storage can damage them they
    raise ObjectDamaged, for another version than `ref.etag` ObjectChanged. Any method may raise
    StorageUnavailable or StorageMisconfigured.
    """

    def put_stream(
        self,
        key: str,
        stream: BinaryIO,
        *,
        max_bytes: int | None = None,
        label: Label | None = None,
    ) -> ArtifactRef:
        """Store all of `stream` under `key`, in bounded memory.

        Raises UploadTooLarge if it holds more than `max_bytes`, StorageFull without space; what
        reading the stream raises passes through. Then the key is as it was before.
        """

    def put_file(self, key: str, path: Path, *, label: Label | None = None) -> ArtifactRef:
        """Store a copy of the file `path`. Raises StorageFull; OSError if it is unreadable."""

    def put_bytes(self, key: str, data: bytes, *, label: Label | None = None) -> ArtifactRef:
        """Store `data` under `key`. Raises StorageFull."""

    def fetch(
        self, ref: ArtifactRef, target: Path, *, check: Callable[[], None] = lambda: None
    ) -> None:
        """Make the local file `target` hold the object, replacing what is there.

        `target` is for reading only: it may share its bytes with the storage. Raises ObjectMissing;
        StorageFull if there is no room for it; what `check` raises, which is called all the while.
        """

    def read_bytes(self, ref: ArtifactRef) -> bytes:
        """Return all bytes of a small object. Raises ObjectMissing."""

    def open_range(self, ref: ArtifactRef, start: int, length: int) -> BinaryIO:
        """Return a reader of at most `length` bytes from byte `start` on; close it after use.

        A later write or delete of the key does not change what it reads. Raises ObjectMissing.
        """

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known of the object, None if there is none or the key is not valid."""

    def list_objects(self, prefix: str) -> tuple[ObjectInfo, ...]:
        """Return every object whose key starts with `prefix` and a slash, in order of keys."""

    def delete(self, key: str) -> None:
        """Remove the object. No error if it is not there."""

    def delete_prefix(self, prefix: str) -> None:
        """Remove every object whose key starts with `prefix` and a slash, and no other."""

    def sweep(self, older_than_ms: int = DAY_MS) -> int:
        """Remove what unfinished writes left more than `older_than_ms` ago; return how many."""

    def link(self, file: Artifact) -> str | None:
        """Return where anyone may fetch `file`, without our key, under its name; it may expire.

        None if there is no such place: then our own route serves it.
        """

    def free_bytes(self) -> int | None:
        """Return the bytes still free, None if there is no such limit to know."""

    def check(self, *, thorough: bool = False) -> None:
        """Raise what a read or write would raise now; cheap enough for a probe every few seconds.

        `thorough` writes and removes an object even where each write costs money.
        """


def check_key(key: str) -> tuple[str, ...]:
    """Return the segments of `key`. Raises InvalidKey unless it keeps the rule.

    1 to 4 segments joined by "/", each of 1 to 160 bytes of UTF-8, without a leading dot,
    backslash, control character or line break. Letters of any script are allowed.
    """
    segments = tuple(key.split("/"))
    if len(segments) > _MAX_SEGMENTS or not all(map(_is_segment, segments)):
        raise InvalidKey(key)
    return segments


def check_prefix(prefix: str) -> tuple[str, ...]:
    """Return the segments of a prefix; one trailing slash is allowed. Raises InvalidKey."""
    return check_key(prefix.removesuffix("/"))


def is_key(key: str) -> bool:
    """Tell whether `check_key` accepts `key`."""
    try:
        check_key(key)
    except InvalidKey:
        return False
    return True


def _is_segment(text: str) -> bool:
    if not text or text.startswith(".") or "\\" in text:
        return False
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:  # a lone surrogate
        return False
    categories = map(unicodedata.category, text)
    return size_bytes <= _MAX_SEGMENT_BYTES and not any(
        category == "Cc" or category in _LINE_BREAKS for category in categories
    )


def _size(size_bytes: int) -> str:
    for unit, factor in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.4g} {unit}"
    return f"{size_bytes} bytes"
