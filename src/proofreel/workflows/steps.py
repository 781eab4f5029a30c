"""What a hop gets to work with, and how a chain of hops is run: durably or at once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from proofreel.adapters.ffmpeg import Media
from proofreel.adapters.metrics import Metrics
from proofreel.adapters.storage import Label, Storage
from proofreel.adapters.whisper import SpeechEngine
from proofreel.core.jobs import Artifact
from proofreel.core.model import ArtifactRef, JobSpec, Monitor
from proofreel.core.names import ARTIFACTS, artifact_name
from proofreel.errors import Unavailable
from proofreel.workflows.results import Probed, Scaled
from proofreel.workflows.sources import Sources

T = TypeVar("T")
STORAGE_PAUSES_S = (2, 4, 8, 16, 30, 60, 60, 60, 60, 60)  # six minutes: a restart, a failover
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Everything the hops need from outside, and the figures that steer them."""

    storage: Storage
    sources: Sources
    media: Media
    speech: SpeechEngine
    work_root: Path  # scratch folders are made in here
    max_file_bytes: int
    silence_at_least_ms: int
    silence_below_dbfs: float | None
    storage_pauses_s: Sequence[float]  # between the tries of a storage that does not answer
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Workbench:
    """One hop's place of work: its tools, its job, a scratch folder of its own, its monitor."""

    tools: Toolbox
    spec: JobSpec
    prefix: str  # of every key of this job, with a slash at the end
    folder: Path
    monitor: Monitor

    def fetch(self, ref: ArtifactRef, name: str) -> Path:
        """Return a local copy of `ref`, for reading only. Raises ObjectMissing."""
        target = self.folder / name
        self._patiently(lambda: self.tools.storage.fetch(ref, target, check=self.monitor.check))
        return target

    def source(self) -> Path:
        """Return a local copy of the recording, for reading only. Raises ObjectMissing."""
        target, check = self.folder / "source", self.monitor.check
        self._patiently(
            lambda: self.tools.sources.provide(self.prefix, self.spec.source, target, check)
        )
        return target

    def keep(self, name: str, path: Path) -> ArtifactRef:
        """Store an intermediate file that goes away with the end of the job."""
        key = f"{self.prefix}work/{name}"
        return self._patiently(lambda: self.tools.storage.put_file(key, path))

    def deliver(self, kind: str, content: Path | bytes | str) -> Artifact:
        """Store one of the job's files under the name that people will see."""
        name = artifact_name(self.spec.name, kind)
        key, label = self.prefix + name, Label(ARTIFACTS[kind].content_type, name)
        storage = self.tools.storage
        if isinstance(content, Path):
            file = content
            ref = self._patiently(lambda: storage.put_file(key, file, label=label))
        else:
            data = content.encode() if isinstance(content, str) else content
            ref = self._patiently(lambda: storage.put_bytes(key, data, label=label))
        return self.artifact(kind, ref)

    def read(self, ref: ArtifactRef) -> bytes:
        """Return the bytes of a small intermediate file. Raises ObjectMissing."""
        return self._patiently(lambda: self.tools.storage.read_bytes(ref))

    def _patiently(self, call: Callable[[], T]) -> T:
        """Return what `call` does, once the storage lets it: what took hours to make is not made
        again because a server was restarted. Raises what it raised last, or JobCancelled.
        """
        for pause_s in self.tools.storage_pauses_s:
            try:
                return call()
            except Unavailable as error:
                log.warning(
                    "storage_waits", code=error.code, detail=error.detail, again_in_s=pause_s
                )
            until_s = time.monotonic() + pause_s
            while time.monotonic() < until_s:
                self.monitor.check()
                time.sleep(0.1)
        return call()

    def artifact(self, kind: str, ref: ArtifactRef) -> Artifact:
        """Return the stored bytes as one of the job's files."""
        name = artifact_name(self.spec.name, kind)
        return Artifact(kind, name, ARTIFACTS[kind].content_type, ref)


class Steps(Protocol):
    """Runs hops one after another. A durable one skips those that were finished before a crash."""

    def run(self, stage: str, result: type[T], hop: Callable[[Workbench], T]) -> T:
        """Run `hop` as `stage` of the job and return its result, a frozen dataclass."""

    def start_scaling(self, probed: Probed) -> None:
        """Start the hop `scale`, which runs beside the others."""

    def scaled(self) -> Scaled:
        """Wait for the hop `scale` and return its result; its failure is never the job's."""


@contextmanager
def workbench(
    tools: Toolbox, spec: JobSpec, prefix: str, stage: str, monitor: Monitor
) -> Iterator[Workbench]:
    """Yield a workbench whose folder is gone afterwards, and log how long the hop took."""
    tools.work_root.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    log.info("hop_started", stage=stage)
    with tempfile.TemporaryDirectory(prefix=f"{stage}-", dir=tools.work_root) as folder:
        yield Workbench(tools, spec, prefix, Path(folder), monitor)
    seconds = time.monotonic() - started
    tools.metrics.stage_finished(stage, seconds)
    log.info("hop_finished", stage=stage, seconds=round(seconds, 2))
