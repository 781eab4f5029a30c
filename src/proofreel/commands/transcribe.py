"""`proofreel transcribe`: the pipeline over files on this machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from proofreel.adapters.local_storage import LocalStorage
from proofreel.bootstrap import make_toolbox
from proofreel.core.jobs import JobResult
from proofreel.core.model import JobSpec, SpeechOptions
from proofreel.core.names import safe_name, stem_and_suffix
from proofreel.core.timecode import to_seconds
from proofreel.errors import InvalidInput, Misconfigured, ProofreelError
from proofreel.settings import Settings
from proofreel.workflows.direct import DirectSteps
from proofreel.workflows.pipeline import run_job
from proofreel.workflows.steps import Toolbox

Progressing = Callable[[str, int], None]


class FileUnreadable(InvalidInput):
    """The named file is not there or may not be read."""

    code = "file_unreadable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"The file cannot be read: {self.reason}."


class ResultsUnwritable(Misconfigured):
    """The results cannot be written where they were asked for."""

    code = "results_unwritable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"The results cannot be written: {self.reason}."


def transcribe_files(
    settings: Settings,
    files: Sequence[Path],
    out: Path,
    options: SpeechOptions,
    *,
    as_json: bool,
) -> int:
    """Take every file through the pipeline and put the results into `out`; return how many failed.

    Two files of one stem get folders of their own, so that neither overwrites the other.
    """
    failed = 0
    with tempfile.TemporaryDirectory(prefix="proofreel-") as scratch:
        console = Console(stderr=True)
        storage = LocalStorage(Path(scratch) / "files")
        tools = make_toolbox(settings, storage, Path(scratch) / "work")
        try:
            for file, target in zip(files, _targets(files, out), strict=True):
                try:
                    _make_folder(target)
                    with _bar(console, file.name) as progressing:
                        result = _transcribe(tools, file, options, progressing)
                    written = _copy_out(storage, result, target)
                except ProofreelError as error:
                    failed += 1
                    _tell_failure(file, error, as_json=as_json)
                else:
                    _tell(file, result, written, as_json=as_json)
                storage.delete_prefix("jobs")
                storage.delete_prefix("uploads")
        finally:
            tools.speech.close()
    return failed


def _targets(files: Sequence[Path], out: Path) -> list[Path]:
    """Return a folder for each file's results: `out`, or one of its own where stems are shared."""
    stems = [stem_and_suffix(safe_name(file.name))[0] for file in files]
    return [
        out / f"{stem}-{stems[:place].count(stem) + 1}" if stems.count(stem) > 1 else out
        for place, stem in enumerate(stems)
    ]


def _make_folder(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsUnwritable(error.strerror or "it is refused") from error


def _transcribe(
    tools: Toolbox, file: Path, options: SpeechOptions, progressing: Progressing
) -> JobResult:
    name = safe_name(file.name)
    try:
        with file.open("rb") as stream:
            source = tools.storage.put_stream(f"uploads/direct/{name}", stream)
    except OSError as error:
        raise FileUnreadable(error.strerror or "it cannot be opened") from error
    with DirectSteps(tools, JobSpec(source, name, options), progressing) as steps:
        return run_job(steps)


def _copy_out(storage: LocalStorage, result: JobResult, target: Path) -> list[Path]:
    written = []
    for artifact in result.artifacts:
        name = artifact.name
        if artifact.kind == "manifest":  # one folder holds those of several recordings
            stem = result.artifacts[0].name.rpartition(".")[0]
            name = f"{stem}_{artifact.name}"
        path = target / name
        with storage.open_range(artifact.ref, 0, artifact.ref.size_bytes) as stored:
            try:
                with path.open("wb") as copy:
                    shutil.copyfileobj(stored, copy)  # a copy of its own, free to be edited
            except OSError as error:
                raise ResultsUnwritable(error.strerror or "it is refused") from error
        written.append(path)
    return written


@contextmanager
def _bar(console: Console, name: str) -> Iterator[Progressing]:
    """Show a bar on a terminal, nothing in a pipe."""
    columns = (
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=100, name=name)

        def progressing(stage: str, percent: int) -> None:
            bar.update(task, completed=percent, description=stage)

        yield progressing


def _tell(file: Path, result: JobResult, written: Sequence[Path], *, as_json: bool) -> None:
    if as_json:
        line = {
            "file": str(file),
            "status": "completed",
            "duration": to_seconds(result.duration_ms),
            "language": result.language,
            "summary": dict(result.summary),
            "files": [str(path) for path in written],
        }
        typer.echo(json.dumps(line, ensure_ascii=False))
        return
    typer.echo(f"{file.name}: {result.headline}")
    for path in written:
        typer.echo(f"  {path}")


def _tell_failure(file: Path, error: ProofreelError, *, as_json: bool) -> None:
    if as_json:
        line = {"file": str(file), "status": "failed", "error": str(error), "code": error.code}
        typer.echo(json.dumps(line, ensure_ascii=False))
    else:
        typer.echo(f"{file.name}: failed ({error.code}). {error}", err=True)
