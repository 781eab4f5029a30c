"""The arrows between the parts of the package, and which module may know which library."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import proofreel

SOURCE = Path(proofreel.__file__).parent
MAX_LINES = 300

# What each part may import of ours. A name stands for itself and all below it.
ARROWS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "settings": ("errors",),
    "core": ("core", "errors"),
    "adapters": ("adapters", "core", "errors"),
    "workflows": ("workflows", "adapters", "core", "errors"),
    "readiness": ("adapters", "core", "errors"),
    "bootstrap": ("settings", "workflows", "adapters", "core", "errors"),
    "web": ("web", "adapters.jobs", "adapters.storage", "adapters.uploads", "core", "errors"),
}
# The edge of the program may use everything; as no row above names it, nothing inside uses it.
EDGE = {"__init__", "__main__", "cli", "commands", "logs", "processes", "wsgi"}

# Who may import a library from outside; one without a row belongs to nobody.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "alembic": ("adapters.migrations",),
    "av": ("adapters.probe_child",),
    "boto3": ("adapters.s3",),
    "botocore": ("adapters.s3",),
    "ctranslate2": ("adapters.device", "adapters.whisper_decode"),
    "dbos": ("adapters.migrations", "adapters.queue", "workflows"),
    "faster_whisper": ("adapters.speech_windows", "adapters.whisper_decode"),
    "flask": ("web", "wsgi"),
    "flask_openapi3": ("web",),
    "gunicorn": ("wsgi",),
    "httpcore": ("adapters.pinned_http", "adapters.webhook"),
    "httpx": ("adapters.addresses", "adapters.model_sources", "adapters.webhook"),
    "huggingface_hub": ("adapters.hub_child",),
    "imageio_ffmpeg": ("adapters.ffmpeg",),
    "jinja2": ("adapters.report_page",),
    "markupsafe": ("adapters.report_page", "web"),
    "numpy": ("core", "adapters", "workflows"),
    "onnxruntime": ("adapters.whisper_child",),
    "opentelemetry": ("adapters.tracing",),
    "prometheus_client": ("adapters.metrics",),
    "psycopg": ("adapters.postgres",),
    "pydantic": ("settings", "web", "workflows"),
    "pydantic_settings": ("settings",),
    "rapidfuzz": ("core",),
    "rich": ("commands",),
    "sqlalchemy": ("adapters", "bootstrap"),
    "standardwebhooks": ("adapters.webhook",),
    "structlog": ("adapters", "workflows", "web", "commands", "logs", "processes"),
    "typer": ("cli", "commands"),
    "urllib3": ("adapters.s3",),
    "werkzeug": ("web",),
}

# What the pure core may use of the standard library: nothing here reads a file or a clock.
PURE = (
    *("__future__", "bisect", "collections", "contextlib", "dataclasses", "enum", "functools"),
    *("html", "itertools", "json", "math", "operator", "re", "string", "typing", "unicodedata"),
    "urllib.parse",
)
STANDARD = sys.stdlib_module_names | {"_typeshed"}


def covers(allowed: tuple[str, ...], name: str) -> bool:
    """Is `name` one of `allowed` or below one of them?"""
    return any(name == at or name.startswith(f"{at}.") for at in allowed)


def imported(source: str) -> Iterator[str]:
    """Yield the full name of all that `source` imports, late and for types alone included."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                yield from (f"{'.' * level}{module or ''}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module")):
                yield "a name made at run time"


def broken_arrows(module: str, source: str) -> list[str]:
    """Return a line for each import that `module`, named without the package, may not make."""
    part = module.split(".")[0]
    if part not in ARROWS and part not in EDGE:
        return [f"{module} belongs to no part: give it a row in ARROWS"]
    broken = []
    for name in imported(source):
        top, _, rest = name.partition(".")
        if top == "proofreel":
            fine = part in EDGE or covers(ARROWS[part], rest)
        elif top in STANDARD:
            fine = part != "core" or covers(PURE, name)
        else:
            fine = covers(LIBRARIES.get(top, ()), module)
        if not fine:
            broken.append(f"{module} imports {name}")
    return broken


def modules() -> Iterator[tuple[str, str]]:
    """Yield name and text of every module of the package."""
    for path in sorted(SOURCE.rglob("*.py")):
        names = path.relative_to(SOURCE).with_suffix("").parts
        if names[-1] == "__init__" and len(names) > 1:
            names = names[:-1]
        yield ".".join(names), path.read_text(encoding="utf-8")


def test_every_import_follows_the_arrows() -> None:
    broken = [line for name, source in modules() for line in broken_arrows(name, source)]

    assert broken == []


def test_every_part_of_the_table_exists() -> None:
    assert {name.split(".")[0] for name, _ in modules()} == ARROWS.keys() | EDGE


def test_no_module_is_longer_than_one_can_read_at_a_sitting() -> None:
    lengths = {name: len(source.splitlines()) for name, source in modules()}

    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


@pytest.mark.parametrize(
    ("module", "source", "culprit"),
    [
        ("errors", "from proofreel.core.model import Job", "proofreel.core.model.Job"),
        ("settings", "import proofreel.bootstrap", "proofreel.bootstrap"),
        ("core.report", "from proofreel.adapters.ffmpeg import Media", "adapters.ffmpeg.Media"),
        ("core.report", "def late():\n    import httpx", "httpx"),
        ("core.report", "import time", "time"),
        ("core.report", "from urllib.request import urlopen", "urllib.request.urlopen"),
        ("core.report", "from .. import adapters", "...adapters"),
        ("core.report", "importlib.import_module('proofreel.web')", "a name made at run time"),
        ("adapters.storage", "if TYPE_CHECKING:\n    import proofreel.settings", "settings"),
        ("adapters.storage", "import boto3.session", "boto3.session"),
        ("adapters.probe", "import av", "av"),
        ("workflows.hops", "from proofreel.web import app", "proofreel.web.app"),
        ("bootstrap", "from proofreel.cli import main", "proofreel.cli.main"),
        ("web.files", "from proofreel.adapters import database", "adapters.database"),
        ("web.files", "from proofreel.adapters import *", "proofreel.adapters.*"),
        ("web.files", "from proofreel.adapters.jobs_of_others import x", "jobs_of_others.x"),
        ("web.files", "import proofreel", "proofreel"),
        ("cli", "import requests", "requests"),
    ],
)
def test_an_import_against_the_arrows_is_caught(module: str, source: str, culprit: str) -> None:
    [line] = broken_arrows(module, source)

    assert line.startswith(f"{module} imports ")
    assert line.endswith(culprit)


def test_a_part_that_the_table_does_not_know_is_caught() -> None:
    assert broken_arrows("plugins.extra", "import json") == [
        "plugins.extra belongs to no part: give it a row in ARROWS"
    ]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.report", "from proofreel.errors import NotFound\nimport numpy.typing\nimport json"),
        ("adapters.s3", "import boto3"),
        ("workflows.engine", "from dbos import DBOS"),
        ("web.files", "from proofreel.adapters import jobs\nimport os"),
        ("web.files", "from proofreel.adapters.storage import Storage"),
        ("cli", "from proofreel.web.app import create_app"),
    ],
)
def test_an_import_along_the_arrows_passes(module: str, source: str) -> None:
    assert broken_arrows(module, source) == []
