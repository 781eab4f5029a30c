"""Where the tests find real speech models; fetched once if they are not there."""

from __future__ import annotations

import os
from pathlib import Path

from proofreel.adapters.models import ModelStore


def models_root() -> Path:
    """Return the folder of models: PROOFREEL_TEST_MODELS, else the service's, else the cache."""
    for name in ("PROOFREEL_TEST_MODELS", "PROOFREEL_MODELS_DIR"):
        if os.environ.get(name):
            return Path(os.environ[name])
    return Path.home() / ".cache" / "proofreel" / "models"


def model_store(*names: str) -> ModelStore:
    """Return a store that holds the models `names`. Raises ModelUnavailable."""
    store = ModelStore(models_root())
    for name in names:
        store.pull(name)
    return store
