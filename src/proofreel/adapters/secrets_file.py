"""A secret of our own in a file: made once, kept, readable by its owner alone."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

import structlog

from proofreel.errors import Misconfigured

_MODE = 0o600
_MAX_BYTES = 4096

_log = structlog.get_logger()


class SecretFileUnusable(Misconfigured):
    """The file `name` cannot serve; `problem` ends the sentence, `cause` is for the log."""

    code = "secret_file_unusable"

    def __init__(self, name: str, problem: str, cause: str = "") -> None:
        super().__init__(name, problem, cause)
        self.name, self.problem, self.cause = name, problem, cause

    def __str__(self) -> str:
        return f"The file {self.name} in the data folder {self.problem}."

    @property
    def detail(self) -> str:
        return self.cause


def make_api_key() -> str:
    """Return a new API key: 256 random bits behind a prefix that secret scanners can look for."""
    return f"pr_{secrets.token_urlsafe(32)}"


def ensure_secret(path: Path, make: Callable[[], str]) -> tuple[str, bool]:
    """Return the secret in `path`, and whether this call made it (with `make`) because none was.

    However many processes ask at once, one makes it and all get the same. A file that a crash left
    empty is filled; one that others could read is closed to them. Raises SecretFileUnusable.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = _open(path)
        try:
            return _read_or_make(fd, path, make)
        finally:
            os.close(fd)
    except OSError as exc:
        raise SecretFileUnusable(path.name, "cannot be read or written", str(exc)) from exc


def _open(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in its place must not hang us
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, _MODE)
    except OSError as exc:
        if exc.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        # Put there by an operator for us to read only, as containers do.
        return os.open(path, os.O_RDONLY | flags)


def _read_or_make(fd: int, path: Path, make: Callable[[], str]) -> tuple[str, bool]:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise SecretFileUnusable(path.name, "is not a regular file")
    fcntl.flock(fd, fcntl.LOCK_EX)  # closing the file lets go of it, and so does a crash
    _tighten(fd, path)
    kept = _parse(os.pread(fd, _MAX_BYTES + 1, 0), path)
    if kept:
        return kept, False
    made = make()
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{made}\n".encode("ascii"), 0)
    os.fsync(fd)
    _sync_folder(path.parent)
    return made, True


def _tighten(fd: int, path: Path) -> None:
    if os.fstat(fd).st_mode & 0o077 == 0:
        return
    try:
        os.fchmod(fd, _MODE)
    except OSError:  # mounted for us by another owner, who decides who reads it
        _log.warning("secret_file_readable_by_others", file=path.name)


def _parse(data: bytes, path: Path) -> str:
    # Some file systems leave zeros where a crash came between a file's size and its bytes.
    text = data.replace(b"\0", b"").strip()
    if len(data) > _MAX_BYTES or not text.isascii() or len(text.split()) > 1:
        raise SecretFileUnusable(path.name, "does not hold one line of plain text")
    return text.decode("ascii")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
