"""`proofreel models list | pull | verify`."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from proofreel.adapters.models import ModelMissing
from proofreel.bootstrap import make_models
from proofreel.logs import announce
from proofreel.settings import Settings


def print_models(settings: Settings) -> None:
    """Print a line for each known model."""
    for status in make_models(settings).list():
        typer.echo(f"{status.name:<16} {status.state:<10} {status.note}")


def pull_model(settings: Settings, name: str) -> None:
    """Fetch a model with a bar on a terminal. Raises what `ModelStore.pull` does."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        path = make_models(settings).pull(
            name, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    typer.echo(f"{name} is in {path}")


def ensure_model(settings: Settings, name: str) -> None:
    """Fetch a model if it is not here yet. Raises what `ModelStore.pull` does."""
    try:
        make_models(settings).path(name)
    except ModelMissing:
        announce(settings.log_format, f"Fetching the speech model {name}, once ...")
        pull_model(settings, name)


def verify_model(settings: Settings, name: str) -> None:
    """Check every byte of a model. Raises ModelMissing, ModelCorrupt."""
    make_models(settings).verify(name)
    typer.echo(f"{name} is complete and unchanged")
