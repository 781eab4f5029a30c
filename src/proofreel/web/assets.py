"""Our own style sheets and scripts, under an address that changes whenever one of them does.

The version is part of the path, not of the query, so that modules which import each other by
relative names stay of one version too.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import Response, send_from_directory, url_for

STATIC = Path(__file__).parent / "static"
_VERSION_CHARACTERS = 12
_ONE_YEAR_S = 365 * 24 * 3600
# By our own table: the machine's may know none of these, and `nosniff` then stops the page.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@cache
def assets_version() -> str:
    """Return a digest of all names and contents, fixed for the life of the process."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:_VERSION_CHARACTERS]


def asset_url(name: str) -> str:
    """Return the address of the file `name`, such as `css/base.css`."""
    return url_for("pages.asset", version=assets_version(), name=name)


def send_asset(version: str, name: str) -> Response:
    """Answer with the file: kept for a year under its own version, checked again under another."""
    response = send_from_directory(STATIC, name, conditional=True, etag=True)
    if kind := _TYPES.get(Path(name).suffix):
        response.headers["Content-Type"] = kind
    if version == assets_version():
        response.headers["Cache-Control"] = f"public, max-age={_ONE_YEAR_S}, immutable"
    else:
        response.headers["Cache-Control"] = "no-cache"
    return response
