"""Storage in a folder of this machine.

Every name is opened relative to the folder above it and no symlink is followed, so nothing outside
the root is ever read or written. Objects are only ever replaced by rename, never changed in place.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from proofreel.adapters.local_files import (
    ABSENT,
    CHUNK_BYTES,
    RangeReader,
    absent_is_fine,
    copy_to,
    prune,
    sync_folder,
    translated,
    write_all,
)
from proofreel.adapters.storage import (
    DAY_MS,
    InvalidKey,
    Label,
    ObjectChanged,
    ObjectInfo,
    ObjectMissing,
    UploadTooLarge,
    check_key,
    check_prefix,
)
from proofreel.core.jobs import Artifact
from proofreel.core.model import ArtifactRef

_TMP = ".tmp"  # no key can start with a dot
_OBJECT_MODE = 0o400  # nobody writes into an object, not even through a hard link
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not hang us
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY = (errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST)
_PUBLISH_TRIES = 500  # a delete can take an empty folder away between its making and its use


class LocalStorage:
    """A `Storage` in the folder `root`, which is made at the first write."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def put_stream(
        self,
        key: str,
        stream: BinaryIO,
        *,
        max_bytes: int | None = None,
        label: Label | None = None,  # whoever reads the folder sees the name in the key
    ) -> ArtifactRef:
        segments = check_key(key)
        with self._new_file() as (name, tmp_fd, out_fd):
            digest, size_bytes = hashlib.sha256(), 0
            while chunk := stream.read(CHUNK_BYTES):
                size_bytes += len(chunk)
                if max_bytes is not None and size_bytes > max_bytes:
                    raise UploadTooLarge(max_bytes)
                digest.update(chunk)
                with translated("store a file"):
                    write_all(out_fd, chunk)
            with translated("store a file"):
                os.fchmod(out_fd, _OBJECT_MODE)
                os.fsync(out_fd)
                self._publish(name, tmp_fd, segments)
        return ArtifactRef(key, digest.hexdigest(), size_bytes)

    def put_file(self, key: str, path: Path, *, label: Label | None = None) -> ArtifactRef:
        with path.open("rb") as stream:
            return self.put_stream(key, stream, label=label)

    def put_bytes(self, key: str, data: bytes, *, label: Label | None = None) -> ArtifactRef:
        return self.put_stream(key, io.BytesIO(data), label=label)

    def fetch(
        self, ref: ArtifactRef, target: Path, *, check: Callable[[], None] = lambda: None
    ) -> None:
        with translated("fetch a file"), self._open_version(ref) as (fd, folder_fd, leaf):
            target.unlink(missing_ok=True)
            if ref.etag:  # others may write into their own file: never share it, nor half of it
                copy_to(fd, target, check)
                if _etag(os.fstat(fd)) != ref.etag:
                    target.unlink()
                    raise ObjectChanged(ref.key)
                return
            # Another file system, or one without hard links, leaves nothing and gets a copy.
            with suppress(OSError):
                os.link(leaf, target, src_dir_fd=folder_fd, follow_symlinks=False)
                if os.path.samestat(target.lstat(), os.fstat(fd)):
                    return
                target.unlink()  # replaced since we opened it: copy what we opened
            copy_to(fd, target, check)

    def read_bytes(self, ref: ArtifactRef) -> bytes:
        with self.open_range(ref, 0, sys.maxsize) as source, translated("read a file"):
            return source.read()

    def open_range(self, ref: ArtifactRef, start: int, length: int) -> BinaryIO:
        if start < 0 or length < 0:
            raise ValueError(f"a range cannot start at {start} and have {length} bytes")
        with translated("read a file"), self._open_version(ref) as (fd, _, _):
            return io.BufferedReader(RangeReader(os.dup(fd), start, length), 64 * 1024)

    def stat(self, key: str) -> ObjectInfo | None:
        try:
            with translated("look up a file"), self._open_object(key) as (fd, _, _):
                found = os.fstat(fd)
        except ObjectMissing:
            return None
        return ObjectInfo(key, found.st_size, found.st_mtime_ns // 1_000_000, _etag(found))

    def list_objects(self, prefix: str) -> tuple[ObjectInfo, ...]:
        folder = self._root.joinpath(*check_prefix(prefix))
        with translated("list files"):
            paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
        found = (self.stat(path.relative_to(self._root).as_posix()) for path in paths)
        return tuple(info for info in found if info)

    def delete(self, key: str) -> None:
        *folders, leaf = check_key(key)
        with translated("delete a file"), absent_is_fine(), ExitStack() as opened:
            fds = self._open_folders(folders, opened)
            os.unlink(leaf, dir_fd=fds[-1])
            sync_folder(fds[-1])
            prune(folders, fds)

    def delete_prefix(self, prefix: str) -> None:
        *folders, leaf = check_prefix(prefix)
        with translated("delete files"), absent_is_fine(), ExitStack() as opened:
            fds = self._open_folders(folders, opened)
            found = os.stat(leaf, dir_fd=fds[-1], follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                return
            tmp_fd, doomed = self._open_tmp(opened), secrets.token_hex(16)
            # The rename takes all of it away at once; a kill from here on leaves it to `sweep`.
            os.rename(leaf, doomed, src_dir_fd=fds[-1], dst_dir_fd=tmp_fd)
            sync_folder(fds[-1])
            prune(folders, fds)
            shutil.rmtree(doomed, ignore_errors=True, dir_fd=tmp_fd)

    def sweep(self, older_than_ms: int = DAY_MS) -> int:
        until_s = time.time() - older_than_ms / 1000
        removed = 0
        with translated("tidy up"), absent_is_fine(), ExitStack() as opened:
            tmp_fd = self._open_folders((_TMP,), opened)[-1]
            for name in os.listdir(tmp_fd):
                with absent_is_fine():  # its writer may finish while we look
                    found = os.stat(name, dir_fd=tmp_fd, follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):  # what a delete left is dead at any age
                        shutil.rmtree(name, dir_fd=tmp_fd)
                    elif found.st_mtime <= until_s:
                        os.unlink(name, dir_fd=tmp_fd)
                    else:
                        continue
                    removed += 1
        return removed

    def link(self, file: Artifact) -> str | None:
        return None

    def free_bytes(self) -> int | None:
        with translated("tell how much space is free"):
            folder = next(place for place in (self._root, *self._root.parents) if place.exists())
            found = os.statvfs(folder)
            return found.f_bavail * found.f_frsize

    def check(self, *, thorough: bool = False) -> None:
        with self._new_file() as (_, _, out_fd), translated("store a file"):
            write_all(out_fd, b"\0")
            os.fsync(out_fd)

    @contextmanager
    def _new_file(self) -> Iterator[tuple[str, int, int]]:
        """Open a new file in `.tmp`: its name, the folder's descriptor, its own descriptor.

        The name is gone afterwards, whatever happens, unless `_publish` has moved it.
        """
        name = secrets.token_hex(16)
        with ExitStack() as opened:
            with translated("store a file"):
                tmp_fd = self._open_tmp(opened)
                out_fd = os.open(name, _NEW_FLAGS, 0o600, dir_fd=tmp_fd)
                opened.callback(os.close, out_fd)
            try:
                yield name, tmp_fd, out_fd
            finally:
                with suppress(OSError):
                    os.unlink(name, dir_fd=tmp_fd)

    def _publish(self, name: str, tmp_fd: int, segments: Sequence[str]) -> None:
        """Give the finished file its key. Raises InvalidKey if a folder or link is in the way."""
        *folders, leaf = segments
        for tries_left in reversed(range(_PUBLISH_TRIES)):
            try:
                with ExitStack() as opened:
                    folder_fd = self._open_folders(folders, opened, create=True)[-1]
                    os.replace(name, leaf, src_dir_fd=tmp_fd, dst_dir_fd=folder_fd)
                    sync_folder(folder_fd)
                    return
            except FileNotFoundError:
                if not tries_left:
                    raise
            except OSError as exc:
                if exc.errno not in _IN_THE_WAY:
                    raise
                raise InvalidKey("/".join(segments)) from exc

    def _open_tmp(self, opened: ExitStack) -> int:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._open_folders((_TMP,), opened, create=True)[-1]

    def _open_folders(
        self, names: Sequence[str], opened: ExitStack, *, create: bool = False
    ) -> list[int]:
        """Open the root and each folder below it in turn; `opened` closes the descriptors."""
        fds = [os.open(self._root.resolve(), _FOLDER_FLAGS)]  # the root itself may be a link
        opened.callback(os.close, fds[0])
        for name in names:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=fds[-1])
                    sync_folder(fds[-1])
            fds.append(os.open(name, _FOLDER_FLAGS, dir_fd=fds[-1]))
            opened.callback(os.close, fds[-1])
        return fds

    @contextmanager
    def _open_version(self, ref: ArtifactRef) -> Iterator[tuple[int, int, str]]:
        """Open what `ref` names. Raises ObjectMissing, ObjectChanged."""
        with self._open_object(ref.key) as opened:
            if ref.etag and ref.etag != _etag(os.fstat(opened[0])):
                raise ObjectChanged(ref.key)
            yield opened

    @contextmanager
    def _open_object(self, key: str) -> Iterator[tuple[int, int, str]]:
        """Open an object: its descriptor, its folder's, its name there. Raises ObjectMissing."""
        with ExitStack() as opened:
            try:
                *folders, leaf = check_key(key)
                folder_fd = self._open_folders(folders, opened)[-1]
                fd = os.open(leaf, _READ_FLAGS, dir_fd=folder_fd)
                opened.callback(os.close, fd)
            except InvalidKey as exc:
                raise ObjectMissing(key) from exc
            except OSError as exc:
                if exc.errno in ABSENT:
                    raise ObjectMissing(key) from exc
                raise
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ObjectMissing(key)
            yield fd, folder_fd, leaf


def _etag(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"
