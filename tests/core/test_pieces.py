from __future__ import annotations

from proofreel.core.model import Segment, Word
from proofreel.core.pieces import join_pieces, timed_pieces


def segment(text: str, *words: str) -> Segment:
    timed = tuple(Word(n * 100, n * 100 + 100, word, 0.9) for n, word in enumerate(words))
    return Segment(0, 0, 1_000, text, -0.2, 1.3, 0.0, timed)


def joined(text: str, *words: str) -> str:
    return join_pieces(list(timed_pieces(segment(text, *words))))


def test_spaces_stand_where_the_segment_has_them() -> None:
    assert joined("a state-of-the-art  mic", "a", "state", "-of", "-the", "-art", "mic") == (
        "a state-of-the-art mic"
    )
    assert joined("Google検索 です", "Go", "ogle", "検", "索", "です") == "Google検索 です"


def test_words_that_the_segment_does_not_hold_are_joined_by_their_script() -> None:
    assert joined("", "one", "two") == "one two"
    assert joined("", "日", "本", "語") == "日本語"
    assert joined("something else", "one", "two") == "one two"


def test_a_word_too_wide_shares_its_time_among_its_parts() -> None:
    pieces = list(timed_pieces(segment("abcdefgh", "abcdefgh"), 3))

    assert [(piece.start_ms, piece.end_ms, piece.text) for piece in pieces] == [
        (0, 38, "abc"),
        (38, 75, "def"),
        (75, 100, "gh"),
    ]
    assert join_pieces(pieces) == "abcdefgh"


def test_a_segment_without_words_is_spread_by_width() -> None:
    pieces = list(timed_pieces(segment("one three")))

    assert [(piece.start_ms, piece.end_ms, piece.text) for piece in pieces] == [
        (0, 375, "one"),
        (375, 1_000, "three"),
    ]


def test_empty_words_are_left_out() -> None:
    assert joined("a b", "a", "", " ", "b") == "a b"
    assert list(timed_pieces(segment(" "))) == []
