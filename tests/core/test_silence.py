from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofreel.core.levels import Levels, measure_levels
from proofreel.core.model import Silence
from proofreel.core.silence import find_silences, find_thresholds
from tests.speech_samples import RATE_HZ, Samples, mix, noise, pause, script, speak, tone

# espeak-ng ends each text with up to a tenth of a second of quiet, which belongs to the silence.
EDGE_MS = 50


def silences(samples: Samples, *, at_least_ms: int = 2000) -> tuple[Silence, ...]:
    return find_silences(measure_levels(samples), at_least_ms=at_least_ms)


def spans(found: Sequence[Silence]) -> list[tuple[int, int]]:
    return [(silence.start_ms, silence.end_ms) for silence in found]


def trimmed(text: str, voice: str = "en-us") -> Samples:
    """The text without the quiet around it."""
    samples = speak(text, voice=voice)
    heard = np.flatnonzero(np.abs(samples.astype(np.int32)) > 100)
    return samples[heard[0] : heard[-1] + 1]


def in_a_room(samples: Samples, level_dbfs: float | None) -> Samples:
    if level_dbfs is None:
        return samples
    return mix(samples, noise(samples.size / RATE_HZ, level_dbfs=level_dbfs))


@pytest.mark.parametrize("room_dbfs", [None, -65.0, -48.0])
@pytest.mark.parametrize("voice", ["en-us", "de"])
def test_a_pause_is_found_in_any_room_with_its_edges(room_dbfs: float | None, voice: str) -> None:
    before = trimmed("Room noise is easier to prevent than to remove.", voice)
    after = trimmed("Close the window, and put your phone on silent.", voice)
    samples = in_a_room(np.concatenate((before, pause(3), after)), room_dbfs)

    found = silences(samples)

    start_ms = before.size * 1000 // RATE_HZ
    assert len(found) == 1
    assert found[0].start_ms == pytest.approx(start_ms, abs=EDGE_MS)
    assert found[0].end_ms == pytest.approx(start_ms + 3000, abs=EDGE_MS)
    assert found[0].level_dbfs < -46


@pytest.mark.parametrize("gain_db", [-35, -20, 0])
def test_a_quiet_recording_has_the_same_silences_as_a_loud_one(gain_db: int) -> None:
    samples, _ = script("Open the mixer and raise the gain.", 4.0, "The meter turns yellow.")
    quieter = np.rint(in_a_room(samples, -60) * 10 ** (gain_db / 20)).astype(np.int16)

    found = silences(quieter)

    assert len(found) == 1
    assert found[0].duration_ms == pytest.approx(4000, abs=300)


def test_pauses_shorter_than_asked_for_are_left_out() -> None:
    samples, _ = script("One sentence.", 1.2, "Another one.", 3.0, "The end.")

    assert len(silences(samples)) == 1
    assert len(silences(samples, at_least_ms=1000)) == 2
    assert silences(samples, at_least_ms=10_000) == ()


def test_silence_at_the_start_and_at_the_end_of_the_media_is_kept() -> None:
    samples, spoken = script(2.5, "A pop filter keeps bursts of air away.", 3.5)

    found = silences(samples)

    assert [found[0].start_ms, found[1].end_ms] == [0, samples.size * 1000 // RATE_HZ]
    assert found[0].end_ms == pytest.approx(spoken[0].start_ms, abs=EDGE_MS + 50)


@pytest.mark.parametrize("room_dbfs", [None, -80.0, -60.0])
def test_a_recording_of_nothing_is_one_silence(room_dbfs: float | None) -> None:
    assert spans(silences(in_a_room(pause(7.005), room_dbfs))) == [(0, 7005)]


def test_a_recording_of_nothing_but_noise_is_no_silence() -> None:
    assert silences(noise(10, level_dbfs=-20)) == ()


def test_speech_without_pauses_has_no_silence() -> None:
    samples = speak("A thick curtain behind the speaker absorbs the worst reflections. " * 4)

    assert silences(samples) == ()
    assert silences(in_a_room(samples, -45)) == ()


@pytest.mark.parametrize(
    "sound", [tone(7, level_dbfs=-32), noise(7, level_dbfs=-32)], ids=["music", "noise"]
)
@pytest.mark.parametrize("room_dbfs", [None, -65.0, -48.0])
def test_sound_without_words_is_not_silence(sound: Samples, room_dbfs: float | None) -> None:
    speech = speak("Record ten seconds of silence before you begin to speak. " * 3)
    samples = in_a_room(np.concatenate((speech, sound, speech)), room_dbfs)

    assert silences(samples) == ()


def test_somebody_talking_far_from_the_microphone_is_not_silence() -> None:
    near = speak("What did you hear in the other room? ")
    far = (speak("I could not hear anything, but I am sure he was there.") * 0.02).astype(np.int16)

    assert silences(np.concatenate((near, far, near))) == ()


def test_a_click_does_not_interrupt_a_silence_but_a_word_does() -> None:
    speech = speak("Save every take under a new name.")
    click = tone(0.03, level_dbfs=-15)
    quiet = pause(2.2)

    with_click = silences(np.concatenate((speech, quiet, click, quiet, speech)))
    with_word = silences(np.concatenate((speech, quiet, trimmed("No"), quiet, speech)))

    assert len(with_click) == 1
    assert with_click[0].duration_ms > 4400
    assert len(with_word) == 2


def test_a_breath_before_the_first_word_ends_the_silence() -> None:
    speech = trimmed("Listen on cheap headphones.")
    breath = noise(0.4, level_dbfs=-50)
    samples = np.concatenate((speech, pause(4), breath, speech))

    found = silences(samples)

    assert found[0].end_ms == pytest.approx(speech.size * 1000 // RATE_HZ + 4000, abs=EDGE_MS)


def test_a_soft_consonant_after_its_closure_belongs_to_the_word() -> None:
    speech = trimmed("An equaliser can remove the rumble of a passing tru")
    consonant = np.concatenate((pause(0.08), noise(0.05, level_dbfs=-48)))
    samples = np.concatenate((speech, consonant, pause(3), speech))

    found = silences(samples)

    start_ms = (speech.size + consonant.size) * 1000 // RATE_HZ
    assert found[0].start_ms == pytest.approx(start_ms, abs=20)


def test_a_threshold_of_ones_own_is_kept() -> None:
    loud, soft = tone(3, level_dbfs=-10), tone(3, level_dbfs=-28)
    levels = measure_levels(np.concatenate((loud, soft, loud, pause(3))))

    found = find_silences(levels, threshold_dbfs=-25)

    assert len(find_silences(levels)) == 1
    assert find_thresholds(levels, threshold_dbfs=-25).silence_dbfs == -25
    assert [silence.level_dbfs for silence in found] == [-28.0, -120.0]
    assert found[0].start_ms == pytest.approx(3000, abs=EDGE_MS)
    assert found[0].end_ms == pytest.approx(6000, abs=EDGE_MS)


def test_no_audio_has_no_silence() -> None:
    assert find_silences(measure_levels(pause(0))) == ()
    assert find_thresholds(measure_levels(pause(0))).silence_dbfs < 0


def test_a_length_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="at_least_ms must be positive"):
        find_silences(measure_levels(pause(1)), at_least_ms=0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-120, 0, width=32), st.integers(1, 400)), min_size=1, max_size=30),
    st.integers(1, 5000),
)
def test_silences_are_in_order_apart_and_inside_the_recording(
    stretches: list[tuple[float, int]], at_least_ms: int
) -> None:
    parts = [np.full(n, level, dtype=np.float32) for level, n in stretches]
    dbfs = np.concatenate(parts)
    levels = Levels(dbfs, 10, dbfs.size * 10 - 3)

    found = find_silences(levels, at_least_ms=at_least_ms)

    assert all(s.duration_ms >= at_least_ms for s in found)
    assert all(0 <= s.start_ms < s.end_ms <= levels.duration_ms for s in found)
    assert all(a.end_ms < b.start_ms for a, b in pairwise(found))
