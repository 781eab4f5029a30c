"""Recordings for the whole service, made once for all tests that need them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tests.speech_samples import Samples, pause, speak

SENTENCE = "The weather is very nice today and the children play in the garden."
_TEXT = (
    "Good morning and welcome to the lecture.",
    SENTENCE,
    "We went to the market to buy some bread and cheese.",
    "Please open the window and close the door behind you.",
    "The train to the city leaves every hour from the old station.",
)
LONG_S = 60.0


@lru_cache(maxsize=1)
def long_speech() -> Samples:
    """Return speech that takes the recogniser some seconds."""
    passage = np.concatenate([np.concatenate([speak(line), pause(0.4)]) for line in _TEXT])
    times = int(LONG_S * 16_000 / passage.size) + 1
    return np.tile(passage, times)
