from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofreel.core.phrasing import (
    CLAUSE,
    PLAIN,
    SENTENCE,
    break_cost,
    ends_sentence,
    split_wide,
    split_words,
    text_width,
)

bounded = settings(max_examples=100, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("plain", 5), ("Cafe\u0301", 4), ("日本", 5), ("สวัสดี", 4)]
)
def test_width_counts_what_takes_room_on_screen(text: str, width: float) -> None:
    assert text_width(text) == width


@pytest.mark.parametrize(
    ("left", "right", "ends"),
    [
        ("end.", "The", True),
        ("really?”", "she", True),
        ("です。", "次", True),
        ("end…", "And", True),
        ("Mr.", "Dashwood", False),
        ("J.", "Smith", False),
        ("vol.", "two", False),
        ("comma,", "Then", False),
        ("3.5", "Then", False),
    ],
)
def test_a_full_stop_does_not_always_end_a_sentence(left: str, right: str, ends: bool) -> None:
    assert ends_sentence(left, right) is ends


def test_breaks_are_ranked_as_an_editor_would() -> None:
    def cost(left: str, right: str) -> float:
        return break_cost(left, right, spaced=True, language="en")

    ranked = [
        cost("end.", "Next"),
        cost("well,", "then"),
        cost("noise", "than"),
        cost("noise", "sounds"),
        cost("the", "speaker"),
        cost("20", "million"),
        cost("chapter", "12"),
        break_cost("state", "-of", spaced=False, language="en"),
    ]

    assert ranked == sorted(set(ranked))
    assert ranked[:2] == [SENTENCE, CLAUSE]


@pytest.mark.parametrize(
    ("language", "left", "right"),
    [("de", "dem", "Sprecher"), ("fr", "la", "lecture"), ("es", "los", "oyentes")],
)
def test_articles_lean_on_their_noun_in_other_languages(
    language: str, left: str, right: str
) -> None:
    assert break_cost(left, right, spaced=True, language=language) > PLAIN
    assert break_cost(left, right, spaced=True, language="xx") == PLAIN


def test_japanese_breaks_after_particles_and_never_before_a_small_kana() -> None:
    def cost(left: str, right: str) -> float:
        return break_cost(left, right, spaced=False, language="ja")

    assert cost("は", "別") < cost("実", "際") < cost("違", "う") < cost("ニ", "ュ")
    assert cost("検", "「") < cost("「", "検")


def test_words_part_at_spaces_and_between_characters_of_unspaced_scripts() -> None:
    assert split_words(" a  Google検索 です\n") == ["a", "Google", "検", "索", "で", "す"]


def test_a_wide_word_is_cut_before_it_gets_too_wide_and_never_before_a_mark() -> None:
    assert split_wide("abcdefgh", 3) == ["abc", "def", "gh"]
    assert split_wide("日本語", 4) == ["日", "本", "語"]
    assert split_wide("ae\u0301e\u0301", 2) == ["ae\u0301", "e\u0301"]


@bounded
@given(st.text(), st.integers(1, 50))
def test_cutting_loses_nothing_and_keeps_to_the_limit(text: str, limit: int) -> None:
    assert "".join(split_words(text)) == "".join(text.split())
    for word in split_words(text):
        parts = split_wide(word, limit)
        assert "".join(parts) == word
        assert all(parts)
        assert all(text_width(part) <= max(limit, 2.5) for part in parts)
