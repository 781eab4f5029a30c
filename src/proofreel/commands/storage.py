"""A look at the storage before anything starts."""

from __future__ import annotations

import structlog

from proofreel.bootstrap import make_storage
from proofreel.errors import Unavailable
from proofreel.settings import Settings


def check_storage(settings: Settings) -> None:
    """Look whether files can be stored. Wrong settings end the start; one that is away is waited
    for: jobs are tried again. Raises Misconfigured.
    """
    try:
        make_storage(settings).check(thorough=True)
    except Unavailable as error:
        structlog.get_logger().warning("storage_away", code=error.code, detail=error.detail)
