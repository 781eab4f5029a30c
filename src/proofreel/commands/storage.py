"""A look at the storage before anything starts."""

from __future__ import annotations

import structlog

from proofreel.adapters.storage import Storage
from proofreel.errors import Unavailable


def check_storage(storage: Storage) -> None:
    """Look whether files can be stored. Wrong settings end the start; one that is away is waited
    for: jobs are tried again. Raises Misconfigured.
    """
    try:
        storage.check(thorough=True)
    except Unavailable as error:
        structlog.get_logger().warning("storage_away", code=error.code, detail=error.detail)
