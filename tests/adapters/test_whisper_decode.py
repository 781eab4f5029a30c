from __future__ import annotations

import pytest

from proofreel.adapters.whisper_decode import Decoded, DecodedWord


def decoded(word_lengths_ms: list[int], *, ratio: float, logprob: float = -0.2) -> Decoded:
    words = tuple(DecodedWord(0, length_ms * 16, " word", 0.9) for length_ms in word_lengths_ms)
    return Decoded(words, avg_logprob=logprob, compression_ratio=ratio, no_speech_prob=0.1)


def test_three_takes_of_a_sentence_are_honest_repetition_and_kept() -> None:
    takes = decoded([300] * 50 + [20] * 4, ratio=4.8)

    assert not takes.loops
    assert not takes.went_wrong


@pytest.mark.parametrize(
    "stuck",
    [
        decoded([300] * 40 + [0] * 120, ratio=16.3),
        decoded([300] * 19 + [20] * 8, ratio=3.3),
        decoded([700], ratio=29.9),  # one word of many letters
    ],
)
def test_a_text_that_repeats_itself_in_no_time_is_a_loop(stuck: Decoded) -> None:
    assert stuck.loops
    assert stuck.went_wrong


def test_a_text_that_whisper_itself_doubts_is_tried_again() -> None:
    assert decoded([300] * 5, ratio=0.9, logprob=-1.2).went_wrong
    assert not decoded([300] * 5, ratio=0.9, logprob=-0.9).went_wrong
