from __future__ import annotations

import copy
import importlib
import inspect
import json
import pickle
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

import proofreel
from proofreel import errors
from proofreel.errors import ProofreelError

# These few are given their whole sentence by whoever raises them.
WHOLE_SENTENCES = {
    "StorageMisconfigured.problem",
    "BadRequest.message",
    "NoSuchThing.message",
    "NoAnswer.reason",
    "UrlRefused.reason",
}
# What only an operator may read: paths, addresses, other programs' words.
LOG_ONLY = {"cause", "detail", "folder", "found", "log_detail"}

SAMPLES: dict[Any, Any] = {
    int: 7,
    float: 1.5,
    tuple[str, ...]: ("One thing is wrong.", "So is another."),
}


def import_everything() -> None:
    """Import all modules of the package but the one that runs it."""
    for module in pkgutil.walk_packages(proofreel.__path__, "proofreel."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def below(kind: type[ProofreelError]) -> Iterator[type[ProofreelError]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def is_family(kind: type[ProofreelError]) -> bool:
    """Is `kind` only there to be subclassed, so that its raiser would bring the sentence?"""
    own_words = kind.__str__ is not Exception.__str__
    return kind.__name__.startswith("_") or (kind.__module__ == errors.__name__ and not own_words)


def sample_arguments(kind: type[ProofreelError]) -> dict[str, Any]:
    """A value for each parameter of the constructor, by its type; words name their parameter."""
    if kind.__init__ is Exception.__init__:
        return {}
    hints = get_type_hints(kind.__init__)
    arguments = {}
    for name in list(inspect.signature(kind.__init__).parameters)[1:]:
        if f"{kind.__name__}.{name}" in WHOLE_SENTENCES:
            arguments[name] = "This is wrong."
        else:
            arguments[name] = f"sample_{name}" if hints[name] is str else SAMPLES[hints[name]]
    return arguments


import_everything()
KINDS: list[type[ProofreelError]] = list(dict.fromkeys([ProofreelError, *below(ProofreelError)]))
RAISED = [kind for kind in KINDS if not is_family(kind)]

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
each_raised_kind = pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.__name__)


def test_the_walk_reaches_the_errors_of_every_part() -> None:
    parts = {kind.__module__.split(".")[1] for kind in RAISED}

    assert parts >= {"errors", "settings", "core", "adapters", "web", "commands", "processes"}


@each_kind
def test_an_error_survives_pickling_and_copying(kind: type[ProofreelError]) -> None:
    error = kind(*sample_arguments(kind).values())

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert type(again) is kind
        assert again.args == error.args
        assert vars(again) == vars(error)
        assert (str(again), again.code, again.retryable) == (
            str(error),
            error.code,
            error.retryable,
        )
        assert (again.detail, again.data) == (error.detail, error.data)


@each_kind
def test_an_error_can_be_rebuilt_from_its_arguments_alone(kind: type[ProofreelError]) -> None:
    given = tuple(sample_arguments(kind).values())
    error = kind(*given)

    assert error.args == given
    assert vars(kind(*error.args)) == vars(error)


@each_kind
def test_the_facts_kept_with_a_job_are_plain_json(kind: type[ProofreelError]) -> None:
    error = kind(*sample_arguments(kind).values())

    assert json.loads(json.dumps(error.data)) == {"retryable": error.retryable}


@each_raised_kind
def test_an_error_speaks_in_a_whole_sentence(kind: type[ProofreelError]) -> None:
    sentence = str(kind(*sample_arguments(kind).values()))

    assert re.fullmatch(r"\S.*[.!?]", sentence)
    assert not sentence.endswith("..")
    assert "  " not in sentence


@each_raised_kind
def test_what_is_for_the_log_stays_out_of_the_sentence(kind: type[ProofreelError]) -> None:
    arguments = sample_arguments(kind)
    error = kind(*arguments.values())

    for name in LOG_ONLY & arguments.keys():
        assert arguments[name] not in str(error)
        assert arguments[name] in error.detail


@each_kind
def test_a_code_is_a_word_for_machines(kind: type[ProofreelError]) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", kind.code)


@each_raised_kind
def test_an_error_outside_the_tree_itself_names_its_own_code(kind: type[ProofreelError]) -> None:
    assert kind.__module__ == errors.__name__ or "code" in vars(kind)
