"""`proofreel doctor`: what was found, each with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import typer

from proofreel.adapters.device import choose_device
from proofreel.adapters.ffmpeg import Media, find_ffmpeg
from proofreel.bootstrap import api_key, make_models, make_services, make_storage
from proofreel.errors import ProofreelError
from proofreel.settings import Settings


@dataclass(frozen=True)
class _Check:
    name: str
    look: Callable[[Settings], str]
    remedy: str


def examine(settings: Settings, *, show_key: bool) -> bool:
    """Print a line for each part; return whether all of them are well."""
    well = True
    for check in _CHECKS:
        try:
            finding = check.look(settings)
        except ProofreelError as error:
            well = False
            typer.echo(f"MISSING  {check.name:<9} {error}")
            if error.detail:
                typer.echo(f"         {'':<9} ({error.detail})")
            typer.echo(f"         {'':<9} {check.remedy}")
        else:
            typer.echo(f"ok       {check.name:<9} {finding}")
    key, _ = api_key(settings)
    where = "from API_KEY" if settings.api_key else f"in {settings.data_dir / 'api_key'}"
    typer.echo(f"ok       {'key':<9} {key if show_key else where}")
    return well


def _ffmpeg(settings: Settings) -> str:
    binary = find_ffmpeg(settings.ffmpeg_binary)
    version = Media(binary).version().split(" Copyright")[0]
    return f"{version}, {binary}"


def _device(settings: Settings) -> str:
    choice = choose_device(settings.device, settings.compute_type)
    return f"{choice.device}, {choice.compute_type}" + (f". {choice.note}" if choice.note else "")


def _model(settings: Settings) -> str:
    return f"{settings.model}, {make_models(settings).path(settings.model)}"


def _database(settings: Settings) -> str:
    services = make_services(settings)
    try:
        services.jobs.ping()
        # without its parameters: the password may be one of them
        return services.engine.url.set(query={}).render_as_string(hide_password=True)
    finally:
        services.close()


def _storage(settings: Settings) -> str:
    storage = make_storage(settings)
    storage.check(thorough=True)
    if settings.s3_bucket:
        return f"bucket {settings.s3_bucket} at {settings.s3_endpoint or 'AWS'}"
    free_bytes = storage.free_bytes()
    room = "" if free_bytes is None else f", {free_bytes / 1e9:.1f} GB free"
    return f"{settings.data_path / 'files'}{room}"


_CHECKS = (
    _Check("ffmpeg", _ffmpeg, "Install FFmpeg, or set FFMPEG_BINARY to where it is."),
    _Check("device", _device, "Set PROOFREEL_DEVICE=cpu."),
    _Check("model", _model, "Run: proofreel models pull"),
    _Check("database", _database, "Check PROOFREEL_DATABASE_URL and that it may be written."),
    _Check(
        "storage",
        _storage,
        "Check the S3_ variables; without them, that PROOFREEL_DATA_DIR may be written.",
    ),
)
