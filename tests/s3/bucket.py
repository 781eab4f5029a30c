"""Fresh buckets for tests, on the one S3 server of a test run."""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from proofreel.adapters.s3.client import S3Settings
from tests.s3.server import running_server

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def server() -> dict[str, Any]:
    """Return endpoint and keys of the S3 server, which ends with the tests.

    PROOFREEL_TEST_S3_ENDPOINT (with …_ACCESS_KEY and …_SECRET_KEY) names another, running one.
    """
    if endpoint := os.environ.get("PROOFREEL_TEST_S3_ENDPOINT"):
        keys = {
            name: os.environ[f"PROOFREEL_TEST_S3_{name.upper()}"]
            for name in ("access_key", "secret_key")
        }
        return {"endpoint": endpoint, **keys}
    python = Path(os.environ.get("PROOFREEL_TEST_SWIFT", ROOT / ".venv-s3")) / "bin" / "python"
    if not python.exists():
        raise RuntimeError("The tests' S3 server is not installed: run the tests by `make test`.")
    stack = ExitStack()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_folder_with_xattrs())))
    atexit.register(stack.close)
    return stack.enter_context(running_server(python, folder))


def _folder_with_xattrs() -> str:
    """Return a folder whose file system keeps extended attributes, where Swift notes things."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    for folder in (tempfile.gettempdir(), str(ROOT / ".cache")):
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            try:
                os.setxattr(probe.name, "user.proofreel", b"x" * 2000)
            except OSError:
                continue
            return folder
    raise RuntimeError("The tests' S3 server needs a file system with extended attributes.")


@functools.cache
def client() -> Any:
    """Return a client of somebody else: not made by our own code."""
    about = server()
    return boto3.client(
        "s3",
        endpoint_url=about["endpoint"],
        aws_access_key_id=about["access_key"],
        aws_secret_access_key=about["secret_key"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
    )


def fresh_bucket(**changes: Any) -> S3Settings:
    """Make a bucket and return how to use it."""
    about = server()
    bucket = f"test-{secrets.token_hex(8)}"
    client().create_bucket(Bucket=bucket)
    given = {
        "endpoint": about["endpoint"],
        "access_key": about["access_key"],
        "secret_key": about["secret_key"],
        **changes,
    }
    return S3Settings(bucket=bucket, **given)


def environment_of(bucket: S3Settings) -> dict[str, str]:
    """Return the variables that point the service at the bucket."""
    return {
        "S3_ENDPOINT": bucket.endpoint or "",
        "S3_BUCKET": bucket.bucket,
        "S3_ACCESS_KEY": bucket.access_key or "",
        "S3_SECRET_KEY": bucket.secret_key or "",
    }
