"""Fresh applications for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proofreel.adapters.s3.storage import S3Storage
from tests.s3.bucket import fresh_bucket
from tests.web.helpers import Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path) as opened:
        yield opened


@pytest.fixture(params=["local", "s3"])
def any_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """One over each storage. In a bucket, links lead to the service as they do over a folder."""
    storage = S3Storage(fresh_bucket(links="service")) if request.param == "s3" else None
    with open_site(tmp_path, storage) as opened:
        yield opened
