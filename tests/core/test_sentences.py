from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofreel.core.model import Segment, Transcript, Word
from proofreel.core.sentences import place_words, split_sentences
from tests.transcripts import segment, transcript


def texts(*lines: str | float) -> list[str]:
    return [sentence.text for sentence in split_sentences(transcript(*lines))]


def wide(text: str, *, language: str = "ja", step_ms: int = 150) -> Transcript:
    """A text as Whisper times it in Japanese and Chinese: every sign is a word."""
    signs = [
        Word(i * step_ms, (i + 1) * step_ms, sign, 0.9)
        for i, sign in enumerate(text.replace(" ", ""))
    ]
    line = Segment(0, 0, signs[-1].end_ms, text, -0.2, 1.2, 0.0, tuple(signs))
    return Transcript(language, line.end_ms, "base", (line,))


def test_a_sentence_has_the_times_of_its_first_and_last_word() -> None:
    first, second = split_sentences(transcript("Hello there.", 1.0, "How are you?"))

    assert (first.text, first.start_ms, first.end_ms) == ("Hello there.", 0, 600)
    assert (second.text, second.start_ms, second.end_ms) == ("How are you?", 1600, 2500)
    assert [word.text for word in second.words] == ["How", "are", "you?"]


def test_a_sentence_runs_on_over_segments() -> None:
    assert texts("The sample rate decides", "the highest frequency. And", "the end!") == [
        "The sample rate decides the highest frequency.",
        "And the end!",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Ask Dr. Miller about it.",
        "See Mr. J. R. Smith, please.",
        "It took 3.5 seconds, e.g. on a laptop.",
        "Open proofreel.example.com now.",
        "We tried tea, coffee, etc. and left.",
        "2. When forty winters shall besiege thy brow.",
        "Das gilt z.B. für Nr. 5.",
        "So I was... thinking about it.",
    ],
)
def test_these_are_one_sentence(text: str) -> None:
    assert texts(text) == [text]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("He said “stop.” Then he left.", 2),
        ("Really?! Yes. No way…", 3),
        ("It was in 1999. Nobody knew.", 2),
        ("The rule is the... The rule is simple.", 2),
        ("So did I. She did too.", 2),
        ("Это правда. Хорошо.", 2),
        ("यह सच है। ठीक है।", 2),
    ],
)
def test_these_are_several_sentences(text: str, count: int) -> None:
    found = texts(text)

    assert len(found) == count
    assert " ".join(found) == text


def test_chinese_and_japanese_sentences_end_without_a_space() -> None:
    found = split_sentences(wide("今日は晴れです。明日は雨でしょう！傘は？"))

    assert [s.text for s in found] == ["今日は晴れです。", "明日は雨でしょう！", "傘は？"]
    assert found[1].start_ms == 8 * 150


def test_the_text_keeps_the_spacing_of_the_segment() -> None:
    words = (
        Word(0, 200, "The", 0.9),
        Word(200, 400, "13", 0.9),
        Word(400, 600, "-year", 0.9),
        Word(600, 800, "-old", 0.9),
        Word(800, 1000, "boy.", 0.9),
    )
    line = Segment(0, 0, 1000, "The 13-year-old boy.", -0.2, 1.0, 0.0, words)

    assert split_sentences(Transcript("en", 1000, "base", (line,)))[0].text == line.text


def test_a_long_pause_ends_a_sentence_that_has_no_full_stop() -> None:
    assert texts("and then we", 2.0, "went home.") == ["and then we", "went home."]
    assert texts("and then we", 0.8, "went home.") == ["and then we went home."]


def test_a_text_without_punctuation_is_cut_at_pauses() -> None:
    clause = "this goes on and on without any mark at all"

    assert texts(*[part for _ in range(8) for part in (clause, 0.6)]) == [clause] * 8


def test_what_nobody_says_in_one_breath_is_cut_at_its_longest_pauses() -> None:
    breath = "word " * 50

    parts = texts(breath, 0.4, breath, 0.4, breath, 0.4, breath)

    assert len(parts) == 4
    assert all(part.count("word") == 50 for part in parts)


def test_a_segment_without_word_times_counts_as_evenly_spoken() -> None:
    line = Segment(0, 1000, 2000, "One two.  Three four.", -0.1, 1.0, 0.0)

    found = split_sentences(Transcript("en", 2000, "base", (line,)))

    assert [s.text for s in found] == ["One two.", "Three four."]
    assert found[0].start_ms == 1000
    assert found[1].end_ms == 2000
    assert found[1].words[0].probability == pytest.approx(0.905, abs=0.001)


def test_words_that_are_not_in_their_segments_text_are_shown_as_they_are() -> None:
    line = Segment(0, 0, 600, "something else", -0.1, 1.0, 0.0, segment("As heard.").words)

    assert split_sentences(Transcript("en", 600, "base", (line,)))[0].text == "As heard."


def test_silence_has_no_sentences() -> None:
    empty = Segment(0, 0, 100, "  ", -0.1, 1.0, 0.9)

    assert split_sentences(Transcript("", 5000, "base")) == ()
    assert split_sentences(Transcript("en", 5000, "base", (empty,))) == ()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.lists(st.text("aB.…?, 。1-", min_size=1, max_size=5), min_size=1, max_size=12),
        max_size=8,
    ),
    st.integers(0, 3000),
)
def test_every_word_is_in_exactly_one_sentence(lines: list[list[str]], pause_ms: int) -> None:
    made = transcript(*[part for line in lines for part in (" ".join(line), pause_ms / 1000)])
    _, placed = place_words(made)

    found = [word for sentence in split_sentences(made) for word in sentence.words]

    assert found == [item.word for item in placed] == list(made.words)
