from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofreel.core.cues import CueLimits, make_cues
from proofreel.core.model import Cue, Segment, Transcript, Word
from proofreel.core.phrasing import text_width

LIMITS = CueLimits()


def spoken(
    text: str, *, start_ms: int = 0, word_ms: int = 300, pauses_ms: dict[str, int] | None = None
) -> Segment:
    """A segment whose words last `word_ms` each; `pauses_ms` says how long to wait after a word."""
    words, now_ms = [], start_ms
    for word in text.split():
        words.append(Word(now_ms, now_ms + word_ms, word, 0.9))
        now_ms += word_ms + (pauses_ms or {}).get(word, 0)
    return Segment(0, start_ms, words[-1].end_ms, text, -0.2, 1.3, 0.0, tuple(words))


def transcript(
    *segments: Segment, duration_ms: int | None = None, language: str = "en"
) -> Transcript:
    end_ms = segments[-1].end_ms if segments else 0
    return Transcript(language, end_ms if duration_ms is None else duration_ms, "base", segments)


def texts(cues: tuple[Cue, ...]) -> list[tuple[str, ...]]:
    return [cue.lines for cue in cues]


def letters(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_nothing_said_gives_no_cues() -> None:
    assert make_cues(Transcript("", 5_000, "base")) == ()
    assert make_cues(transcript(Segment(0, 0, 900, " ", 0, 0, 0, (Word(0, 900, " ", 1.0),)))) == ()


def test_a_short_sentence_is_one_line() -> None:
    cues = make_cues(transcript(spoken("The window is closed."), duration_ms=9_000))

    assert cues == (Cue(0, 1_200, ("The window is closed.",)),)


def test_two_lines_part_where_a_phrase_begins() -> None:
    cues = make_cues(
        transcript(spoken("Room noise is easier to prevent than to remove afterwards."))
    )

    assert texts(cues) == [("Room noise is easier to prevent", "than to remove afterwards.")]


def test_a_line_never_ends_in_an_article() -> None:
    said = "Captions help all of your viewers understand the speaker in a loud place."
    lines = [line for cue in make_cues(transcript(spoken(said))) for line in cue.lines]

    assert not [line for line in lines if line.split()[-1] in ("a", "the", "of", "in", "your")]


def test_a_sentence_end_parts_cues_in_a_stream_without_pauses() -> None:
    said = (
        "That silence tells the software what the room sounds like. "
        "Save every take under a new name so that nothing is lost."
    )

    cues = make_cues(transcript(spoken(said)))

    assert [" ".join(cue.lines) for cue in cues] == re.findall(r"[^.]+\.", said.replace(". ", "."))


def test_no_cue_reaches_over_a_pause() -> None:
    said = spoken("but then we waited for a while", pauses_ms={"then": 900})

    assert texts(make_cues(transcript(said))) == [("but then",), ("we waited for a while",)]


def test_thirty_seconds_in_one_segment_become_cues_of_seven_at_most() -> None:
    said = spoken(" ".join(["word"] * 75), word_ms=400)

    cues = make_cues(transcript(said))

    assert len(cues) >= 5
    assert all(cue.end_ms - cue.start_ms <= LIMITS.longest_ms for cue in cues)


@pytest.mark.parametrize(
    "pair", ["Doctor Who", "20 million", "Mr. Dashwood", "chapter 12", "New York"]
)
def test_names_and_numbers_stay_on_one_line(pair: str) -> None:
    for lead in range(3, 9):
        said = " ".join(["plain"] * lead) + f" {pair} " + " ".join(["words"] * 5)
        lines = [line for cue in make_cues(transcript(spoken(said))) for line in cue.lines]
        assert sum(pair in line for line in lines) == 1


def test_a_quick_cue_stays_for_readers_as_long_as_there_is_silence() -> None:
    said = spoken("this is said at really quite extraordinary speed", word_ms=60)

    (cue,) = make_cues(transcript(said, duration_ms=10_000))

    assert cue == Cue(0, 2_400, ("this is said", "at really quite extraordinary speed"))


def test_a_single_word_stays_for_the_shortest_time() -> None:
    (cue,) = make_cues(transcript(spoken("Yes.", start_ms=500, word_ms=200), duration_ms=5_000))

    assert (cue.start_ms, cue.end_ms) == (500, 500 + LIMITS.shortest_ms)


def test_a_last_word_at_the_very_end_comes_early_instead_of_late() -> None:
    (cue,) = make_cues(transcript(spoken("Bye.", start_ms=4_990, word_ms=10)))

    assert (cue.start_ms, cue.end_ms) == (5_000 - LIMITS.shortest_ms, 5_000)


@pytest.mark.parametrize(("gap_ms", "left_ms"), [(0, 0), (40, 0), (83, 83), (300, 83), (600, 600)])
def test_gaps_are_none_or_two_frames_or_long_enough_not_to_flicker(
    gap_ms: int, left_ms: int
) -> None:
    first = spoken("The first sentence is just long enough here.")
    second = spoken("And so is the other one that follows it.", start_ms=first.end_ms + gap_ms)

    one, other = make_cues(transcript(first, second))

    assert other.start_ms == second.start_ms
    assert other.start_ms - one.end_ms == left_ms


def test_a_word_too_wide_for_a_line_is_split_hard() -> None:
    word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"

    cues = make_cues(transcript(spoken(f"Die {word} tagt.", word_ms=2_000), language="de"))

    lines = [line for cue in cues for line in cue.lines]
    assert max(map(len, lines)) <= 42
    assert letters("".join(lines)) == letters(f"Die {word} tagt.")


def test_japanese_is_joined_without_spaces_in_lines_of_sixteen() -> None:
    said = (
        "ニュースサイトでの表示が実際と違う件に関するご質問をいただいておりますありがとうございます"
    )
    words = tuple(Word(n * 150, n * 150 + 150, char, 0.9) for n, char in enumerate(said))
    segment = Segment(0, 0, len(said) * 150, said, -0.2, 1.3, 0.0, words)

    cues = make_cues(transcript(segment, language="ja"))

    lines = [line for cue in cues for line in cue.lines]
    assert "".join(lines) == said
    assert max(map(len, lines)) <= 16
    assert not [line for line in lines if line[0] in "ーュんをが"]


def test_parts_of_a_compound_are_joined_as_the_segment_writes_them() -> None:
    parts = ("a", "state", "-of", "-the", "-art", "microphone")
    words = tuple(Word(n * 300, n * 300 + 300, part, 0.9) for n, part in enumerate(parts))
    segment = Segment(0, 0, 1_800, "a state-of-the-art microphone", -0.2, 1.3, 0.0, words)

    assert texts(make_cues(transcript(segment))) == [("a state-of-the-art microphone",)]


def test_a_segment_without_words_is_spread_over_its_time() -> None:
    text = "The first half of this goes here, and the other half of it goes to the second cue then."
    segment = Segment(0, 1_000, 11_000, text, -0.2, 1.3, 0.0)

    one, other = make_cues(transcript(segment, duration_ms=12_000))

    assert " ".join(one.lines) == "The first half of this goes here,"
    assert one.start_ms == 1_000
    assert abs(other.start_ms - (1_000 + 10_000 * 28 / 70)) < 300  # 28 of 70 letters are before it
    assert other.end_ms == 11_000


def test_words_that_overlap_or_run_backwards_still_give_cues_in_order() -> None:
    words = (
        Word(0, 2_000, "One", 0.9),
        Word(1_000, 1_000, "two", 0.9),
        Word(500, 400, "three", 0.9),
        Word(9_000, 9_900, "four.", 0.9),
    )
    segment = Segment(0, 0, 9_900, "One two three four.", -0.2, 1.3, 0.0, words)

    cues = make_cues(transcript(segment, duration_ms=9_500))

    assert texts(cues) == [("One two three",), ("four.",)]
    assert cues[0].start_ms == 0
    assert cues[1] == Cue(8_667, 9_500, ("four.",))


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        CueLimits(line_width=0)
    with pytest.raises(ValueError, match="must hold"):
        CueLimits(shortest_ms=8_000)


times_ms = st.integers(0, 30_000)
word_texts = st.one_of(
    st.sampled_from(
        ["the", "a", "Yes.", "20", "million", "and", "well,", "-of", "日", "本語", "ー"]
    ),
    st.text(min_size=1, max_size=60),
)
words = st.builds(Word, times_ms, times_ms, word_texts, st.just(0.5))
orderly_words = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900), word_texts)).map(
    lambda steps: _one_after_another(steps)
)


def _one_after_another(steps: list[tuple[int, int, str]]) -> list[Word]:
    words, now_ms = [], 0
    for pause_ms, length_ms, text in steps:
        words.append(Word(now_ms + pause_ms, now_ms + pause_ms + length_ms, text, 0.5))
        now_ms += pause_ms + length_ms
    return words


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.one_of(orderly_words, st.lists(words, max_size=60)),
    st.integers(0, 40_000),
    st.booleans(),
    st.sampled_from(["en", "ja", "xx", ""]),
)
def test_cues_of_any_words_hold_their_promises(
    said: list[Word], duration_ms: int, with_words: bool, language: str
) -> None:
    text = " ".join(word.text for word in said)
    segment = Segment(0, 0, duration_ms, text, -0.2, 1.3, 0.0, tuple(said) if with_words else ())

    cues = make_cues(transcript(segment, duration_ms=duration_ms, language=language))

    assert letters("".join(line for cue in cues for line in cue.lines)) == letters(text)
    assert all(0 <= cue.start_ms < cue.end_ms for cue in cues)
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(cues))
    assert all(cue.end_ms <= max(duration_ms, len(cues)) for cue in cues)
    assert all(cue.end_ms - cue.start_ms <= LIMITS.longest_ms for cue in cues)
    assert all(1 <= len(cue.lines) <= 2 for cue in cues)
    assert all(
        0 < text_width(line) <= 42 or not line.isprintable() for cue in cues for line in cue.lines
    )
    assert all(line == " ".join(line.split()) for cue in cues for line in cue.lines)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(orderly_words)
def test_cues_of_orderly_words_are_apart_and_on_screen_while_they_are_spoken(
    said: list[Word],
) -> None:
    segment = Segment(0, 0, 10**6, "", -0.2, 1.3, 0.0, tuple(said))

    cues = make_cues(transcript(segment, duration_ms=10**6))

    gaps = [other.start_ms - one.end_ms for one, other in pairwise(cues)]
    assert all(gap == 0 or gap >= LIMITS.gap_ms for gap in gaps)
