"""Settings in, working services out. Only wiring."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import sqlalchemy as sa

from proofreel.adapters.database import open_engine
from proofreel.adapters.ffmpeg import Media, find_ffmpeg
from proofreel.adapters.ffmpeg_args import MediaLimits
from proofreel.adapters.jobs import Jobs
from proofreel.adapters.ledger import Ledger
from proofreel.adapters.local_storage import LocalStorage
from proofreel.adapters.metrics import Metrics
from proofreel.adapters.migrations import migrate
from proofreel.adapters.models import ModelStore
from proofreel.adapters.queue import JobQueue
from proofreel.adapters.secrets_file import ensure_secret, make_api_key
from proofreel.adapters.storage import Storage
from proofreel.adapters.webhook import WebhookSecretInvalid, WebhookSender
from proofreel.adapters.whisper import SpeechEngine
from proofreel.core.spans import NoTracer, Tracer
from proofreel.errors import Misconfigured
from proofreel.settings import Settings, SettingsError
from proofreel.workflows.announce import Announcer
from proofreel.workflows.durable import Worker
from proofreel.workflows.sources import Sources
from proofreel.workflows.steps import STORAGE_PAUSES_S, Toolbox


class DataDirUnusable(Misconfigured):
    """The folder for all state cannot be made or written; `reason` says why."""

    code = "data_dir_unusable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"PROOFREEL_DATA_DIR cannot be used: {self.reason}."


@dataclass(frozen=True)
class Services:
    """What web, worker and command line share."""

    settings: Settings
    engine: sa.Engine
    queue: JobQueue
    storage: Storage
    jobs: Jobs
    metrics: Metrics

    def close(self) -> None:
        self.queue.close()
        self.engine.dispose()


def make_storage(settings: Settings, *, brisk: bool = False) -> Storage:
    """Return the bucket if one is set, else the folder; `brisk` for answers to requests.

    Raises StorageMisconfigured.
    """
    if settings.s3_bucket is None:
        return LocalStorage(settings.data_path / "files")
    from proofreel.adapters.s3.client import S3Settings  # late: it loads slowly, and few need it
    from proofreel.adapters.s3.storage import S3Storage

    secret_key = settings.s3_secret_key
    return S3Storage(
        S3Settings(
            bucket=settings.s3_bucket,
            endpoint=settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=secret_key.get_secret_value() if secret_key else None,
            region=settings.s3_region,
            addressing=settings.s3_addressing,
            links=settings.s3_links,
            link_ttl_s=settings.s3_link_ttl_s,
            public_endpoint=settings.s3_public_endpoint,
            public_url=settings.s3_public_url,
        ),
        brisk=brisk,
    )


def make_models(settings: Settings) -> ModelStore:
    named_by_path = "/" in settings.model
    return ModelStore(settings.models_path, folder=Path(settings.model) if named_by_path else None)


def make_services(
    settings: Settings, metrics: Metrics | None = None, *, for_web: bool = False
) -> Services:
    """Open the database (bringing its tables up to date) and the storage.

    Raises Misconfigured, Unavailable.
    """
    _make_data_dir(settings)
    migrate(settings.database)
    engine = open_engine(settings.database)
    queue = JobQueue(engine)
    storage = make_storage(settings, brisk=for_web)
    metrics = metrics or Metrics()
    jobs = Jobs(engine, queue, storage, ended=metrics.job_ended)
    return Services(settings, engine, queue, storage, jobs, metrics)


def _make_data_dir(settings: Settings) -> None:
    try:
        settings.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirUnusable(error.strerror or "it cannot be made") from error
    if not os.access(settings.data_path, os.W_OK | os.X_OK):
        raise DataDirUnusable(f"it may not be written by user {os.geteuid()}")


def make_toolbox(
    settings: Settings,
    storage: Storage,
    work_root: Path,
    metrics: Metrics | None = None,
    *,
    storage_pauses_s: Sequence[float] = (),
) -> Toolbox:
    """Find FFmpeg and prepare the recogniser; the model is loaded by the first job."""
    metrics = metrics or Metrics()
    metrics.expect_model(Path(settings.model).name)
    return Toolbox(
        storage=storage,
        sources=Sources(storage, work_root / "sources"),
        media=Media(
            find_ffmpeg(settings.ffmpeg_binary),
            MediaLimits(
                extract_timeout_s=settings.extract_timeout_s,
                scale_timeout_s=settings.scale_timeout_s,
                max_duration_ms=settings.max_duration_s * 1000,
            ),
        ),
        speech=SpeechEngine(
            make_models(settings),
            device=settings.device,
            compute_type=settings.compute_type,
            threads=settings.threads,
            batch_size=settings.batch_size,
            beam_size=settings.beam_size,
            metrics=metrics,
        ),
        work_root=work_root,
        max_file_bytes=settings.max_file_size,
        silence_at_least_ms=settings.silence_at_least_ms,
        silence_below_dbfs=settings.silence_below_dbfs,
        metrics=metrics,
        storage_pauses_s=storage_pauses_s,
    )


def make_worker(services: Services, work_root: Path, tracer: Tracer | None = None) -> Worker:
    """Put together all that a worker needs. Raises Misconfigured."""
    settings = services.settings
    return Worker(
        tools=make_toolbox(
            settings,
            services.storage,
            work_root,
            services.metrics,
            storage_pauses_s=STORAGE_PAUSES_S,
        ),
        ledger=Ledger(services.engine, services.queue, ended=services.metrics.job_ended),
        sender=_make_sender(settings),
        announcer=Announcer(settings.webhook_url, outside_url(settings), services.storage.link),
        tracer=tracer or NoTracer(),
    )


def check_worker(settings: Settings) -> None:
    """Put together a worker and drop it again. Raises Misconfigured, Unavailable."""
    services = make_services(settings)
    try:
        make_worker(services, settings.data_path / "work")
    finally:
        services.close()


def _make_sender(settings: Settings) -> WebhookSender:
    secret = settings.webhook_secret
    try:
        return WebhookSender(
            secret=secret.get_secret_value() if secret else None,
            allow_private=settings.webhook_allow_private,
        )
    except WebhookSecretInvalid as error:
        raise SettingsError((f"PROOFREEL_WEBHOOK_SECRET: {error}",)) from None


def outside_url(settings: Settings) -> str:
    """Return how others reach the service, where no request says it."""
    return settings.public_url or f"http://{settings.host}:{settings.port}"


def api_key(settings: Settings) -> tuple[str, bool]:
    """Return the key that opens the door, and whether it was made just now."""
    if settings.api_key:
        return settings.api_key.get_secret_value(), False
    return ensure_secret(settings.data_path / "api_key", make_api_key)


def cookie_secret(key: str) -> bytes:
    """Return what signs the page's cookies: of the key, so that web processes on several machines
    share it without sharing a folder, and another key ends every session."""
    return hmac.digest(key.encode(), b"proofreel session cookie", "sha256")


def sample_recording() -> Path | None:
    """Return the sample that comes with the package."""
    path = Path(str(resources.files("proofreel") / "sample" / "sample.mp3"))
    return path if path.is_file() else None
