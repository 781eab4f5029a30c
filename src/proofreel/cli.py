"""The command line: `proofreel serve | web | worker | transcribe | models | doctor`."""

from __future__ import annotations

import enum
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from proofreel.core.model import SpeechOptions
from proofreel.errors import ProofreelError, Unavailable
from proofreel.logs import configure_logging
from proofreel.settings import Settings, load_settings

app = typer.Typer(
    help="Transcripts, subtitles and review reports for recorded speech.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="The speech models on this machine.", no_args_is_help=True)
app.add_typer(models_app, name="models")

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.")]


class Task(enum.Enum):
    """What to do with the speech."""

    transcribe = "transcribe"
    translate = "translate"


def main() -> None:
    """Run the command line. A failure that we know is one sentence and an exit status.

    2 says that something must be set right first, 1 that another try may do.
    """
    try:
        app()
    except ProofreelError as error:
        typer.echo(f"proofreel: {error}", err=True)
        sys.exit(1 if error.retryable else 2)


def _settings(**given: Any) -> Settings:
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logging(settings.log_format)
    return settings


def _check_storage(settings: Settings) -> None:
    """Look whether files can be stored. Wrong settings end the start; one that is away is waited
    for: jobs are tried again."""
    from proofreel.bootstrap import make_storage

    try:
        make_storage(settings).check(thorough=True)
    except Unavailable as error:
        structlog.get_logger().warning("storage_away", code=error.code, detail=error.detail)


@app.command()
def serve(host: Host = None, port: Port = None) -> None:
    """Run the service: web and worker on this machine. Stops with ^C."""
    from proofreel.bootstrap import api_key, check_worker
    from proofreel.commands.models import ensure_model
    from proofreel.processes import Supervisor, check_address

    settings = _settings(host=host, port=port)
    check_worker(settings)  # what is wrong shows here, before any child
    _check_storage(settings)
    ensure_model(settings, settings.model)
    check_address(settings.host, settings.port)
    key, made = api_key(settings)
    if made:
        typer.echo(f"API key, made now and kept in {settings.data_dir / 'api_key'}: {key}")
    typer.echo(f"Proofreel is at http://{settings.host}:{settings.port}", err=True)
    run = [sys.executable, "-m", "proofreel"]
    address = ["--host", settings.host, "--port", str(settings.port)]
    commands = {"web": [*run, "web", *address], "worker": [*run, "worker"]}
    status = Supervisor(commands).run()
    typer.echo("Stopped. What was at work goes on at the next start.", err=True)
    raise typer.Exit(status)


@app.command()
def web(host: Host = None, port: Port = None) -> None:
    """Run only the web half; needs a worker on the same database and storage."""
    from proofreel.bootstrap import make_services
    from proofreel.processes import die_with_parent
    from proofreel.wsgi import Server

    die_with_parent()
    settings = _settings(host=host, port=port)
    make_services(settings).close()  # what is wrong shows here, not as a traceback of gunicorn's
    _check_storage(settings)
    Server(settings).run()


@app.command()
def worker() -> None:
    """Run only the working half: takes jobs from the queue."""
    from proofreel.bootstrap import make_services, make_worker
    from proofreel.processes import claim_worker_slot, die_with_parent, fresh_scratch
    from proofreel.workflows.engine import launch
    from proofreel.workflows.housekeeping import Housekeeper

    # At once, in the middle of whatever is done: every finished hop is on disk, and children see
    # their parent go. What was in hand goes on when a worker starts again.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    die_with_parent()
    settings = _settings()
    services = make_services(settings)
    _check_storage(settings)
    executor_id, _lock = claim_worker_slot(settings.data_path / "workers")
    this = make_worker(
        services, fresh_scratch(settings.data_path / "work" / executor_id.rpartition("-")[2])
    )
    housekeeper = Housekeeper(
        this, services.jobs, executor_id, settings.retention_days, give_up=lambda: os._exit(1)
    )
    housekeeper.beat()  # before any work is taken, lest others take it away
    launch(
        this,
        database_url=settings.database,
        executor_id=executor_id,
        jobs_at_once=settings.worker_jobs,
    )
    housekeeper.start()
    while True:
        signal.pause()


@app.command()
def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(),
    model: Annotated[str | None, typer.Option(help="Speech model.")] = None,
    language: Annotated[str | None, typer.Option(help="Code such as en; else detected.")] = None,
    task: Annotated[Task, typer.Option(help="Or translate into English.")] = Task.transcribe,
    prompt: Annotated[str | None, typer.Option(help="Names and words to expect.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a file.")] = False,
) -> None:
    """Transcribe and review recordings without a server. Exit status 1 if any file failed."""
    from proofreel.adapters.speech_options import check_options
    from proofreel.commands.models import ensure_model
    from proofreel.commands.transcribe import transcribe_files

    settings = load_settings()
    configure_logging(settings.log_format, level=logging.ERROR)
    options = SpeechOptions(model or settings.model, language, task.value, prompt)
    check_options(options)
    ensure_model(settings, options.model)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that scratch files are removed
    failed = transcribe_files(settings, files, out, options, as_json=as_json)
    raise typer.Exit(1 if failed else 0)


@app.command()
def doctor(
    show_key: Annotated[bool, typer.Option("--show-key", help="Print the API key, too.")] = False,
) -> None:
    """Say what was found on this machine, and what to do about what was not."""
    from proofreel.commands.doctor import examine

    raise typer.Exit(0 if examine(_settings(), show_key=show_key) else 1)


@models_app.command("list")
def models_list() -> None:
    """List the known models and which of them are here."""
    from proofreel.commands.models import print_models

    print_models(_settings())


@models_app.command("pull")
def models_pull(name: Annotated[str, typer.Argument()] = "base") -> None:
    """Fetch a model and check it."""
    from proofreel.commands.models import pull_model

    pull_model(_settings(), name)


@models_app.command("verify")
def models_verify(name: Annotated[str, typer.Argument()] = "base") -> None:
    """Read all of a model again and compare its checksums."""
    from proofreel.commands.models import verify_model

    verify_model(_settings(), name)
