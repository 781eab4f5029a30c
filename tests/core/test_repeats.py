from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofreel.core.model import Repeat, Segment, Transcript, Word
from proofreel.core.repeats import find_repeats
from tests.transcripts import segment, transcript

FAN = "Close the window, switch off the fan, and put your phone on silent."
SPEAK = "Record ten seconds of silence before you begin to speak."
NOISE = "Room noise is easier to prevent than to remove afterwards."
VOICE = "Too much compression will make the voice sound flat and tired."
WORDS = ("the", "cat", "sat,", "on", "mat.", "and", "then", "I", "went", "3", "uh")
FILLING = (
    "A thick curtain behind the speaker absorbs the worst reflections.",
    "The sample rate decides the highest frequency that you can capture.",
    "Listen on cheap headphones as well as on expensive loudspeakers.",
)


def only(made: Transcript) -> Repeat:
    (found,) = find_repeats(made)
    return found


def said(repeat: Repeat) -> list[str]:
    return [take.text for take in repeat.occurrences]


def test_a_sentence_said_again_at_once_is_a_full_retake_and_the_later_take_is_kept() -> None:
    found = only(transcript(NOISE, FAN, 1.4, FAN, SPEAK))

    assert found.kind == "full"
    assert said(found) == [FAN, FAN]
    assert (found.similarity, found.keep) == (1.0, 1)
    assert found.occurrences[0].end_ms + 1400 == found.occurrences[1].start_ms
    assert found.evidence["pause_s"] == 1.4
    assert found.evidence["keep_reason"] == "the last complete take"


def test_a_sentence_broken_off_and_begun_again_is_a_false_start() -> None:
    found = only(transcript(NOISE, "Record ten seconds of", 0.8, SPEAK))

    assert found.kind == "false_start"
    assert said(found) == ["Record ten seconds of", SPEAK]
    assert found.keep == 1
    assert found.evidence["keep_reason"] == "the only complete take"


def test_a_false_start_that_whisper_ended_with_a_full_stop_is_found() -> None:
    assert said(only(transcript(NOISE, "Record ten seconds.", 0.8, SPEAK))) == [
        "Record ten seconds.",
        SPEAK,
    ]


def test_two_takes_written_as_one_sentence_are_told_apart() -> None:
    found = only(
        transcript(
            f"{NOISE} An equalizer can remove the rumble and equalizer can remove the rumble of a"
            " passing truck."
        )
    )

    assert said(found) == [
        "An equalizer can remove the rumble",
        "and equalizer can remove the rumble of a passing truck.",
    ]


def test_a_take_at_the_end_of_another_sentence_is_found_without_that_sentence() -> None:
    run_on = "You can capture more forty eight samples per second."
    whole = "Forty eight samples per second is the usual choice for video."

    assert said(only(transcript(run_on, 0.5, whole)))[0] == "forty eight samples per second."


def test_three_takes_are_one_group() -> None:
    whole = "The first rule is to keep the original safe."

    found = only(transcript("The first rule is to keep", 0.7, whole, 0.7, whole))

    assert found.kind == "multiple"
    assert len(found.occurrences) == 3
    assert found.keep == 2
    assert found.evidence["takes"] == 3


def test_three_takes_in_one_run_of_words_are_one_group() -> None:
    take = "we keep the original recording untouched"

    found = only(transcript(f"So {take} {take} {take} forever."))

    assert found.kind == "multiple"
    assert len(found.occurrences) == 3


def test_a_sentence_said_again_later_is_distant() -> None:
    found = only(transcript(NOISE, 1.0, *FILLING, 60.0, NOISE, FAN))

    assert found.kind == "distant"
    assert said(found) == [NOISE, NOISE]


def test_a_distant_repeat_inside_a_run_on_sentence_is_found_with_its_own_edges() -> None:
    run_on = f"{NOISE[:-1]}, listen on cheap headphones as well as on expensive ones, and so we go"

    found = only(transcript(NOISE, *FILLING, FAN, f"{run_on} on until the very end of it all."))

    assert found.kind == "distant"
    assert said(found) == [NOISE, f"{NOISE[:-1]},"]


def test_a_word_between_two_takes_does_not_part_them() -> None:
    found = only(transcript(FAN, "Sorry, let me start again.", FAN))

    assert (found.kind, len(found.occurrences)) == ("full", 2)


def test_a_filler_at_the_start_of_a_take_is_not_part_of_it() -> None:
    assert said(only(transcript(FAN, f"Um, {FAN[0].lower()}{FAN[1:]}")))[1].startswith("close")


def test_a_misheard_word_does_not_hide_a_retake() -> None:
    heard = "An equaliser can remove the rumble of a passing chalk."
    right = "An equalizer can remove the rumble of a passing truck."

    found = only(transcript(heard, right, probabilities={"chalk.": 0.4}))

    assert found.kind == "full"
    assert 0.8 < found.similarity < 1


def test_an_earlier_take_is_kept_where_it_was_much_clearer() -> None:
    made = transcript(FAN, 1.0)
    blurred = segment(FAN, start_ms=20_000, probabilities=dict.fromkeys(FAN.split(), 0.6))
    both = Transcript("en", 30_000, "base", (*made.segments, blurred))

    found = only(both)

    assert found.keep == 0
    assert found.evidence["keep_reason"] == "spoken more clearly than the last take"


def test_a_complete_take_is_kept_over_a_later_broken_one() -> None:
    found = only(transcript(VOICE, 0.5, "Too much compression will", 0.9, *FILLING))

    assert (found.kind, found.keep) == ("false_start", 0)


@pytest.mark.parametrize(
    "lines",
    [
        (
            "The first rule of editing is to keep the original untouched.",
            "The second rule of editing is to keep the original untouched.",
            "The third rule of editing is to keep the original untouched.",
        ),
        ("Press the red button to start the recording.", "Press the red button to stop the tape."),
        ("Chapter 10 is about light and colour.", "Chapter 11 is about light and colour."),
        ("We shall fight on the beaches, we shall fight on the landing grounds.",),
        ("It was the best of times, it was the worst of times.",),
        ("Government of the people, by the people, for the people.",),
        ("Tomorrow, and tomorrow, and tomorrow, creeps in this petty pace.",),
        ("No, no, no.", "Very, very, very good."),
        ("Ask what you can do for your country.", "Ask what others can do for the world."),
    ],
)
def test_parallels_that_are_meant_are_no_retakes(lines: tuple[str, ...]) -> None:
    assert find_repeats(transcript(*lines)) == ()


@pytest.mark.parametrize(
    "phrase", ["Thank you.", "Thank you very much.", "I don't know.", "All right."]
)
def test_polite_phrases_are_no_retakes(phrase: str) -> None:
    assert find_repeats(transcript(phrase, NOISE, phrase, phrase, FAN, phrase)) == ()


def test_a_refrain_is_no_retake() -> None:
    refrain = "And we will all go together when we go."

    assert (
        find_repeats(transcript(refrain, *[p for f in FILLING for p in (f, FAN[:20], refrain)]))
        == ()
    )


def test_a_recogniser_in_a_loop_is_no_retake() -> None:
    assert find_repeats(transcript(*([NOISE] * 30))) == ()


def test_text_that_takes_no_time_is_no_take() -> None:
    made = transcript(NOISE, *FILLING)
    ghost = segment(NOISE, start_ms=made.duration_ms, word_ms=0)

    assert find_repeats(Transcript("en", 99_000, "base", (*made.segments, ghost))) == ()


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("de", "Schließen Sie bitte das Fenster und schalten Sie den Lüfter aus."),
        ("fr", "Fermez la fenêtre et éteignez le ventilateur, s'il vous plaît."),
        ("es", "Cierre la ventana y apague el ventilador, por favor."),
        ("ru", "Закройте окно и выключите вентилятор, пожалуйста."),
    ],
)
def test_retakes_are_found_in_other_languages(language: str, line: str) -> None:
    assert said(only(transcript(line, 1.0, line, language=language))) == [line, line]


def test_retakes_are_found_where_every_sign_is_a_word() -> None:
    take = "窓を閉めてください。"
    text = f"こんにちは。{take}{take}では始めます。"
    words = tuple(Word(i * 200, i * 200 + 200, sign, 0.9) for i, sign in enumerate(text))
    line = Segment(0, 0, words[-1].end_ms, text, -0.2, 1.2, 0.0, words)

    assert said(only(Transcript("ja", line.end_ms, "base", (line,)))) == [take, take]


def test_nothing_said_is_nothing_repeated() -> None:
    assert find_repeats(Transcript("", 1000, "base")) == ()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(WORDS), min_size=1),
        max_size=12,
    )
)
def test_takes_are_in_order_apart_and_one_of_them_is_kept(lines: list[list[str]]) -> None:
    for found in find_repeats(transcript(*(" ".join(line) for line in lines))):
        takes = found.occurrences
        assert len(takes) > 1
        assert 0 <= found.keep < len(takes)
        assert 0.8 <= found.similarity <= 1
        assert all(a.end_ms <= b.start_ms for a, b in pairwise(takes))
