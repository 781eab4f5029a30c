"""What the web part works with: `bootstrap` builds it, views reach it through `services()`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from flask import current_app

from proofreel.adapters.jobs import Jobs
from proofreel.adapters.storage import Storage
from proofreel.core.model import SpeechOptions
from proofreel.core.spans import NoTracer, Tracer
from proofreel.web.health import Check

EXTENSION = "proofreel"
RequestHook = Callable[[str, str | None, int, float], None]


@dataclass(frozen=True, slots=True)
class WebServices:
    """The ports and limits of one web process.

    `api_keys` are all keys that open the door (several, so that they can be rotated);
    `cookie_secret` signs the page's session cookie; `public_url` None: links are built from the
    request; `models` are the model names that a request may ask for; `sample` is the recording
    behind "try the sample"; `check_options` raises InvalidInput for options that cannot work;
    `checks` are the parts that `/health/ready` asks; `metrics_page` is what `/metrics` answers, in
    Prometheus' text format; `tracer` gets a span per request; `on_request` hears method, rule
    (None: no rule fits), status and seconds of every request; `stopping` tells streams to end.
    """

    jobs: Jobs
    storage: Storage
    api_keys: tuple[str, ...] = field(repr=False)
    cookie_secret: bytes = field(repr=False)
    max_upload_bytes: int
    min_free_bytes: int
    public_url: str | None
    default_model: str
    models: tuple[str, ...]
    sample: Path | None
    check_options: Callable[[SpeechOptions], None]
    checks: Mapping[str, Check] = field(default_factory=dict)
    metrics_page: Callable[[], bytes] = bytes
    tracer: Tracer = field(default_factory=NoTracer)
    on_request: RequestHook = lambda _method, _route, _status, _seconds: None
    stopping: Callable[[], bool] = lambda: False


def services() -> WebServices:
    """Return the services of the running app."""
    return cast(WebServices, current_app.extensions[EXTENSION])
