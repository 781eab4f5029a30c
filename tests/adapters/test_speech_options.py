from __future__ import annotations

import copy
import pickle

import pytest

from proofreel.adapters.model_catalog import UnknownModel
from proofreel.adapters.speech_options import (
    LANGUAGES,
    MAX_PROMPT_CHARS,
    EnglishOnlyModel,
    PromptTooLong,
    UnsupportedLanguage,
    check_options,
)
from proofreel.core.model import SpeechOptions
from proofreel.errors import InvalidInput


def test_the_languages_are_those_of_whisper() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    assert frozenset(_LANGUAGE_CODES) == LANGUAGES
    assert len(LANGUAGES) == 100


@pytest.mark.parametrize(
    "options",
    [
        SpeechOptions(),
        SpeechOptions(language="de", task="translate"),
        SpeechOptions(model="tiny.en"),
        SpeechOptions(model="tiny.en", language="en"),
        SpeechOptions(prompt="Proofreel, DBOS, PyAV"),
        SpeechOptions(model="/srv/models/mine", language="sw"),
    ],
)
def test_what_can_be_done_is_accepted(options: SpeechOptions) -> None:
    check_options(options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (SpeechOptions(language="xx"), UnsupportedLanguage),
        (SpeechOptions(language=""), UnsupportedLanguage),
        (SpeechOptions(language="english"), UnsupportedLanguage),
        (SpeechOptions(model="enormous"), UnknownModel),
        (SpeechOptions(model="tiny.en", language="de"), EnglishOnlyModel),
        (SpeechOptions(model="tiny.en", task="translate"), EnglishOnlyModel),
        (SpeechOptions(model="/srv/models/small.en", language="fr"), EnglishOnlyModel),
        (SpeechOptions(prompt="x" * (MAX_PROMPT_CHARS + 1)), PromptTooLong),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_loaded(
    options: SpeechOptions, error: type[InvalidInput]
) -> None:
    with pytest.raises(error):
        check_options(options)


def test_a_refusal_repeats_no_more_of_a_strange_value_than_needed() -> None:
    assert len(str(UnsupportedLanguage("x" * 5000))) < 200
    assert len(str(UnknownModel("x" * 5000))) < 300
    assert "/srv" not in str(EnglishOnlyModel("/srv/models/small.en"))


def test_the_errors_survive_pickling_and_copying() -> None:
    for error in (UnsupportedLanguage("xx"), EnglishOnlyModel("tiny.en"), PromptTooLong(2000)):
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
            assert (type(again), str(again)) == (type(error), str(error))
