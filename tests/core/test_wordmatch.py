from __future__ import annotations

import pytest

from proofreel.core.sentences import split_sentences
from proofreel.core.wordmatch import Token, alike, find_restarts, normalise, tokens_of, weigh
from tests.transcripts import transcript


def tokens(text: str, language: str = "en") -> tuple[Token, ...]:
    return tokens_of(split_sentences(transcript(text, language=language)), language)


def restarts(text: str) -> list[tuple[str, str]]:
    words = tokens(text)
    return [
        (
            " ".join(token.text for token in words[r.first : r.again]),
            " ".join(token.text for token in words[r.again : 2 * r.again - r.first]),
        )
        for r in find_restarts(words)
    ]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("“Hello,”", "hello"),
        ("Don’t!", "don't"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ﬁne…", "fine"),
        ("—", ""),
        ("13-year", "13 year"),
    ],
)
def test_words_are_compared_without_case_and_punctuation(text: str, plain: str) -> None:
    assert normalise(text) == plain


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("speaker", "speakers", True),
        ("truck", "track", True),
        ("first", "third", False),
        ("fourteen", "forty", False),
        ("10", "100", False),
        ("a", "an", False),
        ("on", "on", True),
    ],
)
def test_misheard_words_are_alike_but_numbers_are_not(a: str, b: str, same: bool) -> None:
    assert alike(a, b) is same
    assert alike(b, a) is same


def test_filler_sounds_are_not_compared_but_keep_their_place() -> None:
    found = tokens("Um, so er we go.")

    assert [(token.text, token.index) for token in found] == [("so", 1), ("we", 3), ("go", 4)]


def test_german_er_is_a_word() -> None:
    assert [token.text for token in tokens("Er geht um acht.", "de")] == [
        "er",
        "geht",
        "um",
        "acht",
    ]


def test_a_sign_of_a_dense_script_is_half_a_word() -> None:
    assert weigh(tokens("東京 タワー")) == 2.5
    assert weigh(tokens("two words")) == 2.0


def test_a_phrase_said_twice_in_a_row_is_a_restart() -> None:
    assert restarts("So the meter turns, the meter turns yellow.") == [
        ("the meter turns", "the meter turns")
    ]


def test_the_full_stop_tells_where_a_take_begins() -> None:
    assert restarts("He is silent. The fan is silent. The fan is silent. Good.") == [
        ("the fan is silent", "the fan is silent")
    ]


def test_a_misheard_first_word_belongs_to_the_first_try() -> None:
    found = restarts("If every take has a new name, save every take has a new name so that it is.")

    assert found == [("if every take has a new name", "save every take has a new name")]


def test_four_tries_in_a_row_are_three_restarts() -> None:
    assert len(restarts("we keep the tape " * 4)) == 3


def test_words_that_come_back_later_are_no_restart() -> None:
    assert restarts("The top of the hill is not the top of the world.") == []
