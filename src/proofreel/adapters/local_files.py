"""What `LocalStorage` needs of the file system, with its errors turned into the storage's."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from proofreel.adapters.storage import StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK_BYTES = 1024 * 1024
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP)  # network file systems that sync by themselves


class RangeReader(io.RawIOBase):
    """Reads `length` bytes of a file from `start` on, then is at its end; owns `fd`."""

    def __init__(self, fd: int, start: int, length: int) -> None:
        self._fd, self._at, self._end = fd, start, start + length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        count = os.preadv(self._fd, [view[: self._end - self._at]], self._at)
        self._at += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise StorageFull or StorageUnavailable (it could not `action`) for an OSError inside."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _NO_SPACE:
            raise StorageFull from exc
        raise StorageUnavailable(action, str(exc)) from exc


@contextmanager
def absent_is_fine() -> Iterator[None]:
    """Stop quietly where a name inside is not there, or is a link or a folder."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in ABSENT:
            raise


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, however little the system takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def copy_to(fd: int, target: Path, check: Callable[[], None]) -> None:
    """Copy a file from where `fd` stands to the new file `target`, or leave nothing there.

    Raises what `check` raises, which is called at every chunk.
    """
    try:
        with open(fd, "rb", closefd=False) as source, target.open("xb") as out:
            while chunk := source.read(CHUNK_BYTES):
                check()
                out.write(chunk)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def sync_folder(fd: int) -> None:
    """Make the names in a folder durable."""
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno not in _NO_FOLDER_SYNC:
            raise


def prune(folders: Sequence[str], fds: Sequence[int]) -> None:
    """Remove the folders that are empty now, deepest first; `fds[i]` is above `folders[i]`."""
    with suppress(OSError):
        for name, above in zip(reversed(folders), reversed(fds[:-1]), strict=True):
            os.rmdir(name, dir_fd=above)
