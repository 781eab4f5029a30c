from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from proofreel.core.flags import RULES, find_flags
from proofreel.core.model import Flag, Silence, Transcript
from proofreel.core.repeats import find_repeats
from tests.transcripts import segment, transcript

PLAIN = "A thick curtain behind the speaker absorbs the worst reflections."


def of(reason: str, flags: Sequence[Flag]) -> list[str]:
    return [flag.text for flag in flags if flag.reason == reason]


def fillers(
    text: str, language: str = "en", probabilities: dict[str, float] | None = None
) -> list[str]:
    made = transcript(text, language=language, probabilities=probabilities)
    return of("filler", find_flags(made))


def corrections(*lines: str | float, language: str = "en") -> list[str]:
    made = transcript(*lines, language=language)
    return of("correction", find_flags(made, repeats=find_repeats(made)))


def test_plain_speech_has_no_flags() -> None:
    made = transcript(PLAIN, 0.6, "Close the window, and put your phone on silent.")

    assert find_flags(made) == ()


@pytest.mark.parametrize("sound", ["Um", "uh,", "Uhhh", "er", "Erm,", "hmm.", "ah", "Mhm"])
def test_a_sound_is_a_filler_with_its_own_times(sound: str) -> None:
    made = transcript(f"We start here {sound} with the fan.")

    (flag,) = find_flags(made)

    assert (flag.reason, flag.text) == ("filler", sound.strip(",."))
    assert (flag.start_ms, flag.end_ms) == (900, 1200)
    assert flag.evidence == {"words": 1, "probability": 0.9}


def test_sounds_in_a_row_are_one_flag() -> None:
    assert fillers("So, um, uh, er we start.") == ["um, uh, er"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is, like, really big.", ["like"]),
        ("It is, you know, a microphone.", ["you know"]),
        ("This is, I mean, quite loud.", ["I mean"]),
        ("I like this microphone.", []),
        ("You know the answer.", []),
        ("It sounds like rain, you know it.", []),
        ("I mean what I say.", []),
    ],
)
def test_a_word_is_a_filler_only_where_commas_set_it_off(text: str, found: list[str]) -> None:
    assert fillers(text) == found


def test_oh_is_a_filler_only_where_the_recogniser_doubts_it() -> None:
    assert fillers("Oh, save every take.") == []
    assert fillers("Oh, save every take.", probabilities={"Oh,": 0.2}) == ["Oh"]


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("de", "Er kam, ähm, um acht Uhr.", ["ähm"]),
        ("fr", "Euh, je ne sais pas, tu vois, comment.", ["Euh", "tu vois"]),
        ("es", "Eh, no lo sé, o sea, quizás.", ["Eh", "o sea"]),
        ("it", "Er um hmm ciao.", ["hmm"]),
    ],
)
def test_every_language_has_its_own_fillers(language: str, text: str, found: list[str]) -> None:
    assert fillers(text, language) == found


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Sorry, let me start again.", "let me start again."),
        ("We met on Tuesday, I mean Wednesday.", "I mean"),
        ("Turn it left, sorry, right.", "sorry,"),
        ("Scratch that.", "Scratch that."),
    ],
)
def test_taking_something_back_is_a_correction(text: str, phrase: str) -> None:
    assert phrase in corrections(PLAIN, text)


@pytest.mark.parametrize(
    "text", ["I am sorry to hear that.", "Hold on to the rope.", "I mean it.", "This is mean."]
)
def test_the_same_words_in_another_sense_are_no_correction(text: str) -> None:
    assert corrections(PLAIN, text) == []


def test_an_unfinished_sentence_whose_beginning_is_said_again_is_a_correction() -> None:
    made = transcript("The meter must always...", 0.8, "The meter must turn yellow, not red.")

    (flag,) = [flag for flag in find_flags(made) if flag.reason == "correction"]

    assert flag.text == "The meter must always..."
    assert flag.evidence == {"same_words": 3, "pause_s": 0.8}


def test_sentences_that_begin_alike_and_are_finished_are_no_correction() -> None:
    assert corrections("The meter is yellow.", "The meter is a device.") == []


def test_a_stumble_over_two_words_is_a_correction() -> None:
    assert corrections("And then you want, you want to raise the gain.") == ["you want,"]
    assert corrections("It is very, very, very good.", "Bye bye, bye bye.") == []


def test_what_the_repeats_show_is_no_correction() -> None:
    made = transcript("Record ten seconds of...", 0.8, "Record ten seconds of silence first.")
    repeats = find_repeats(made)

    assert len(repeats) == 1
    assert of("correction", find_flags(made, repeats=repeats)) == []


def test_doubtful_words_side_by_side_are_one_flag_with_their_probabilities() -> None:
    sure = {"thick": 0.3, "behind": 0.1, "worst": 0.45}

    found = find_flags(transcript(PLAIN, probabilities=sure))

    assert of("low_confidence", found) == ["thick curtain behind", "worst"]
    assert found[0].evidence == {
        "words": 2,
        "lowest_probability": 0.1,
        "mean_probability": 0.2,
        "threshold": 0.5,
    }


def test_japanese_words_are_shown_without_spaces() -> None:
    made = transcript("名 称 が 正しい", language="ja", probabilities={"名": 0.1, "称": 0.2})

    assert of("low_confidence", find_flags(made)) == ["名称"]


def test_a_doubtful_little_word_is_not_worth_a_flag_unless_it_is_hardly_a_guess() -> None:
    assert find_flags(transcript(PLAIN, probabilities={"the": 0.4})) == ()
    assert of("low_confidence", find_flags(transcript(PLAIN, probabilities={"A": 0.05}))) == ["A"]


def test_a_bad_recording_does_not_drown_the_editor_in_doubts() -> None:
    sure = {f"word{i}": 0.1 + i / 3000 for i in range(0, 900, 3)}
    made = transcript(*(" ".join(f"word{i}" for i in range(n, n + 30)) for n in range(0, 900, 30)))
    made = transcript(*(line.text for line in made.segments), probabilities=sure)

    found = find_flags(made)

    assert made.duration_ms == 270_000
    assert len(found) == 27
    assert max(float(flag.evidence["mean_probability"]) for flag in found) < 0.2


def test_the_words_of_a_take_that_goes_need_no_check() -> None:
    made = transcript(PLAIN, 1.0, PLAIN, probabilities={"curtain": 0.2})
    repeats = find_repeats(made)

    (flag,) = find_flags(made, repeats=repeats)

    assert flag.start_ms > repeats[0].occurrences[1].start_ms


def test_a_stretched_word_is_a_lead() -> None:
    made = transcript("So that people can find it.", lengths_ms={"can": 3100})

    (flag,) = find_flags(made)

    assert (flag.reason, flag.text) == ("long_word", "can")
    assert flag.evidence == {"duration_s": 3.1, "limit_s": 1.2}


@pytest.mark.parametrize("word", ["Internationalisation", "31415926"])
def test_words_that_take_their_time_are_not_stretched(word: str) -> None:
    made = transcript(f"They say {word} here.", lengths_ms={word: 1900})

    assert find_flags(made) == ()


def test_a_word_stretched_over_a_known_silence_is_only_badly_timed() -> None:
    made = transcript("So that people can find it.", lengths_ms={"can": 3100})
    silence = Silence(1300, 3900, -70.0)

    assert of("long_word", find_flags(made, silences=[silence])) == []


def test_text_where_there_is_only_silence_is_flagged() -> None:
    made = transcript(PLAIN, 2.0, "Thanks for watching.", 3.0)
    silence = Silence(made.segments[0].end_ms, made.duration_ms, -64.0)

    (flag,) = find_flags(made, silences=[silence])

    assert (flag.reason, flag.text) == ("no_speech", "Thanks for watching.")
    assert flag.evidence == {"level_dbfs": -64.0, "words": 3}


def test_a_first_word_that_whisper_begins_too_early_is_not_flagged() -> None:
    made = transcript(5.0, PLAIN)

    assert find_flags(made, silences=[Silence(0, 5250, -90.0)]) == ()


def test_text_in_no_time_is_flagged() -> None:
    ghost = segment("Thanks for watching everybody.", start_ms=9000, word_ms=10)

    (flag,) = find_flags(Transcript("en", 9100, "base", (ghost,)))

    assert flag.reason == "no_speech"
    assert flag.evidence == {"words": 4, "duration_s": 0.04}


def test_text_that_whisper_itself_takes_for_no_speech_is_flagged() -> None:
    line = replace(segment("You"), no_speech_prob=0.91, avg_logprob=-1.4)

    (flag,) = find_flags(Transcript("en", 300, "base", (line,)))

    assert flag.reason == "no_speech"
    assert flag.evidence == {"no_speech_prob": 0.91, "avg_logprob": -1.4}


def test_text_in_a_loop_is_one_flag() -> None:
    looping = transcript(*(["I will be back soon."] * 12))
    squeezed = replace(segment("and and and and"), compression_ratio=3.1)

    (over_many,) = find_flags(looping, repeats=find_repeats(looping))
    (in_one,) = find_flags(Transcript("en", 1200, "base", (squeezed,)))

    assert (over_many.reason, over_many.evidence) == ("loop", {"times": 12})
    assert (over_many.start_ms, over_many.end_ms) == (0, looping.duration_ms)
    assert (in_one.reason, in_one.evidence["compression_ratio"]) == ("loop", 3.1)


def test_a_passage_gets_the_first_reason_that_fits() -> None:
    made = transcript("So um we go.", probabilities={"um": 0.1}, lengths_ms={"um": 2000})

    assert [flag.reason for flag in find_flags(made)] == ["long_word"]
    without = {name: rule for name, rule in RULES.items() if name != "long_word"}
    assert [flag.reason for flag in find_flags(made, rules=without)] == ["filler"]


def test_flags_are_in_order_of_time() -> None:
    made = transcript("Um, we, uh, go.", "Scratch that.", probabilities={"go.": 0.1, "we,": 0.1})

    starts = [flag.start_ms for flag in find_flags(made)]

    assert starts == [0, 300, 600, 1200]


def test_silence_has_no_flags() -> None:
    assert find_flags(Transcript("", 5000, "base"), silences=[Silence(0, 5000, -120.0)]) == ()
