from __future__ import annotations

from typing import Any

from proofreel.adapters.speech_segments import segments_of


def window(*words: tuple[float, float, str], ratio: float = 1.2) -> dict[str, Any]:
    """A decoded window; times in seconds."""
    return {
        "words": [
            {"start": round(a * 16000), "end": round(b * 16000), "text": t, "probability": 0.9}
            for a, b, t in words
        ],
        "avg_logprob": -0.2,
        "compression_ratio": ratio,
        "no_speech_prob": 0.01,
    }


def test_a_window_becomes_a_segment_for_each_sentence_with_the_windows_figures() -> None:
    found = segments_of(
        [window((0, 0.5, " Hello"), (0.5, 1, " there."), (1.2, 2, " How"), (2, 2.5, " now?"))],
        10_000,
    )

    assert [(s.id, s.start_ms, s.end_ms, s.text) for s in found] == [
        (0, 0, 1000, "Hello there."),
        (1, 1200, 2500, "How now?"),
    ]
    assert {(s.avg_logprob, s.compression_ratio) for s in found} == {(-0.2, 1.2)}
    assert [word.text for word in found[1].words] == ["How", "now?"]


def test_a_pause_of_a_second_ends_a_segment_inside_a_sentence() -> None:
    found = segments_of([window((0, 0.5, " First"), (1.5, 2, " then"))], 10_000)

    assert [s.text for s in found] == ["First", "then"]


def test_a_shorter_pause_and_an_abbreviation_do_not() -> None:
    found = segments_of([window((0, 0.5, " Mr."), (1.4, 2, " Smith"))], 10_000)

    assert [s.text for s in found] == ["Mr. Smith"]


def test_a_closing_quote_belongs_to_the_sentence() -> None:
    found = segments_of([window((0, 1, ' "Go."'), (1, 2, " He"), (2, 3, " went."))], 10_000)

    assert [s.text for s in found] == ['"Go."', "He went."]


def test_words_without_spaces_between_them_are_joined_without_spaces() -> None:
    found = segments_of([window((0, 0.3, "殺"), (0.3, 0.6, "自己。"), (0.6, 1, "的"))], 10_000)

    assert [s.text for s in found] == ["殺自己。", "的"]


def test_long_speech_without_punctuation_is_cut_at_its_longest_pause() -> None:
    words = [(i * 1.0, i * 1.0 + 0.9, f" w{i}") for i in range(12)]
    words += [(i * 1.0 + 0.5, i * 1.0 + 1.4, f" w{i}") for i in range(12, 28)]

    found = segments_of([window(*words)], 60_000)

    assert [len(s.words) for s in found] == [12, 16]


def test_words_never_overlap_run_backwards_or_outlast_the_recording() -> None:
    found = segments_of([window((0, 2, " a"), (1, 1.5, " b"), (1.4, 9, " c"))], 5000)

    spans = [(word.start_ms, word.end_ms) for s in found for word in s.words]
    assert spans == [(0, 2000), (2000, 2000), (2000, 5000)]


def test_windows_are_put_in_order_of_time_and_empty_ones_leave_nothing() -> None:
    found = segments_of([window((5, 6, " Late.")), window(), window((1, 2, " Early."))], 10_000)

    assert [(s.id, s.text) for s in found] == [(0, "Early."), (1, "Late.")]


def test_a_word_of_only_space_is_left_out() -> None:
    assert segments_of([window((0, 1, " "))], 1000) == ()
