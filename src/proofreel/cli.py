"""The command line: `proofreel serve | web | worker | transcribe | models | doctor`."""

from __future__ import annotations

import enum
import logging
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from proofreel.core.model import SpeechOptions
from proofreel.errors import ProofreelError
from proofreel.logs import announce, configure_logging, tell_end
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
        if sys.argv[1:2] in (["serve"], ["web"], ["worker"]):
            tell_end(error)
        else:
            typer.echo(f"proofreel: {error}", err=True)
        sys.exit(1 if error.retryable else 2)


def _settings(**given: Any) -> Settings:
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logging(settings.log_format, secrets=settings.secrets)
    return settings


def _greet(settings: Settings) -> None:
    """Tell where the service is, and the key if it had to be made."""
    from proofreel.bootstrap import api_key

    key, made = api_key(settings)
    if made:
        typer.echo(f"API key, made now and kept in {settings.data_dir / 'api_key'}: {key}")
    announce(settings.log_format, f"Proofreel is at http://{settings.host}:{settings.port}")


@app.command()
def serve(host: Host = None, port: Port = None) -> None:
    """Run the service: web and worker on this machine. Stops with ^C."""
    from proofreel.adapters.metrics import SHARED_FOLDER
    from proofreel.bootstrap import check_worker, make_storage
    from proofreel.commands.models import ensure_model
    from proofreel.commands.storage import check_storage
    from proofreel.processes import Supervisor, check_address, fresh_folder

    settings = _settings(host=host, port=port)
    check_worker(settings)  # what is wrong shows here, before any child
    check_storage(make_storage(settings))
    ensure_model(settings, settings.model)
    check_address(settings.host, settings.port)
    _greet(settings)
    run = [sys.executable, "-m", "proofreel"]
    address = ["--host", settings.host, "--port", str(settings.port)]
    commands = {"web": [*run, "web", *address], "worker": [*run, "worker"]}
    # both halves count in here; nobody else that lives has the port
    metrics = fresh_folder(settings.data_path / "metrics" / str(settings.port))
    # a worker hands over after its grace, and web has ten seconds for requests under way
    supervisor = Supervisor(
        commands,
        grace_s=settings.stop_grace_s + 12,
        environment={SHARED_FOLDER: str(metrics)},
    )
    try:
        status = supervisor.run()
    finally:
        shutil.rmtree(metrics, ignore_errors=True)
        with suppress(OSError):  # another service counts in there
            metrics.parent.rmdir()
    announce(settings.log_format, "Stopped. What was at work goes on at the next start.")
    raise typer.Exit(status)


@app.command()
def web(host: Host = None, port: Port = None) -> None:
    """Run only the web half; needs a worker on the same database and storage."""
    from proofreel.bootstrap import make_services
    from proofreel.commands.storage import check_storage
    from proofreel.processes import die_with_parent, has_parent
    from proofreel.wsgi import Server

    die_with_parent()
    settings = _settings(host=host, port=port)
    services = make_services(settings)  # what is wrong shows here, not as gunicorn's traceback
    check_storage(services.storage)
    services.close()
    if not has_parent():
        _greet(settings)
    Server(settings).run()


@app.command()
def worker() -> None:
    """Run only the working half: takes jobs from the queue."""
    from proofreel.commands.worker import run_worker

    run_worker(_settings())


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
    configure_logging(settings.log_format, level=logging.ERROR, secrets=settings.secrets)
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
