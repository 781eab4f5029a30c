"""The web half as a WSGI application, and the server that runs it."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from proofreel.adapters.speech_options import check_options
from proofreel.bootstrap import api_key, cookie_secret, make_models, make_services, sample_recording
from proofreel.settings import Settings, load_settings
from proofreel.web.app import create_app
from proofreel.web.services import WebServices


def make_app(settings: Settings | None = None) -> Flask:
    """Build the application from the environment. Raises Misconfigured, Unavailable."""
    settings = settings or load_settings()
    services = make_services(settings)
    key, _ = api_key(settings)
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
        )
    )


def _models_on_offer(settings: Settings) -> tuple[str, ...]:
    here = (status.name for status in make_models(settings).list() if status.installed)
    return tuple(dict.fromkeys((settings.model, *here)))


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn with threads: a slow client or an event stream holds a thread, not the service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
            "proc_name": "proofreel-web",
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return make_app(self._settings)
