"""The web half as a WSGI application, and the server that runs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger as GunicornLogger

from proofreel.adapters.census import take_census
from proofreel.adapters.metrics import open_metrics
from proofreel.adapters.speech_options import check_options
from proofreel.adapters.tracing import open_tracer
from proofreel.bootstrap import api_key, cookie_secret, make_models, make_services, sample_recording
from proofreel.logs import keep_secret, tell_end
from proofreel.readiness import checks as readiness_checks
from proofreel.settings import Settings, load_settings
from proofreel.web.app import create_app
from proofreel.web.services import WebServices


def make_app(
    settings: Settings | None = None, *, stopping: Callable[[], bool] = lambda: False
) -> Flask:
    """Build the application from the environment. Raises Misconfigured, Unavailable."""
    settings = settings or load_settings()
    metrics = open_metrics()
    services = make_services(settings, metrics, for_web=True)
    metrics.watch_jobs(lambda: take_census(services.engine))
    key, _ = api_key(settings)
    keep_secret(key)
    return create_app(
        WebServices(
            jobs=services.jobs,
            storage=services.storage,
            api_keys=(key,),
            cookie_secret=cookie_secret(key),
            max_upload_bytes=settings.max_upload_bytes,
            min_free_bytes=settings.min_free_bytes,
            public_url=settings.public_url,
            default_model=settings.model,
            models=_models_on_offer(settings),
            sample=sample_recording(),
            check_options=check_options,
            metrics_page=metrics.page,
            tracer=open_tracer("proofreel-web"),
            on_request=metrics.request_answered,
            stopping=stopping,
            checks=readiness_checks(
                services.jobs,
                services.storage,
                make_models(settings),
                model=settings.model,
                data_path=settings.data_path,
                min_free_bytes=settings.min_free_bytes,
            ),
        )
    )


def _models_on_offer(settings: Settings) -> tuple[str, ...]:
    here = (status.name for status in make_models(settings).list() if status.installed)
    return tuple(dict.fromkeys((settings.model, *here)))


class _Log(GunicornLogger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's lines go the way of ours."""

    def _set_handler(self, log: logging.Logger, *_args: object, **_more: object) -> None:
        log.propagate = True


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn with threads: a slow client or an event stream holds a thread, not the service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._worker: Any = None  # gunicorn's, in whose process the application runs
        super().__init__()

    def load_config(self) -> None:
        host = self._settings.host
        host = f"[{host}]" if ":" in host else host
        options: dict[str, Any] = {
            "bind": f"{host}:{self._settings.port}",
            "worker_class": "gthread",
            "workers": 1,
            "threads": self._settings.web_threads,
            "timeout": 120,
            "graceful_timeout": 10,
            "keepalive": 15,
            "accesslog": None,
            "control_socket_disable": True,
            "loglevel": "warning",
            "logger_class": _Log,
            "proc_name": "proofreel-web",
            "post_worker_init": self._runs_in,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        try:
            return make_app(self._settings, stopping=self._is_stopping)
        except Exception as error:  # gunicorn would print it in a form of its own
            tell_end(error)
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from None

    def _runs_in(self, worker: Any) -> None:
        self._worker = worker

    def _is_stopping(self) -> bool:
        return self._worker is not None and not self._worker.alive
