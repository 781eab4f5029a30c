from __future__ import annotations

from itertools import pairwise

import numpy as np

from proofreel.adapters.speech_windows import (
    RATE_HZ,
    WINDOW_SAMPLES,
    Region,
    Window,
    find_voice,
    pack,
    split_at_leads,
)
from tests.speech_samples import noise, pause, speak


def region(start_s: float, end_s: float, *, pad_s: float = 0.0) -> Region:
    start, end, pad = (round(value * RATE_HZ) for value in (start_s, end_s, pad_s))
    return Region(start, end, start + pad, end - pad)


def seconds(start: float, end: float) -> tuple[float, float]:
    return start * RATE_HZ, end * RATE_HZ


def test_regions_are_packed_into_as_few_windows_as_hold_them() -> None:
    regions = [region(0, 12), region(20, 32), region(40, 45), region(50, 62)]

    windows = list(pack(regions))

    assert [window.regions for window in windows] == [tuple(regions[:3]), tuple(regions[3:])]
    assert all(window.length <= WINDOW_SAMPLES for window in windows)


def test_no_voice_makes_no_window() -> None:
    assert list(pack([])) == []


def test_a_window_sounds_like_its_regions_end_to_end() -> None:
    samples = np.arange(10, dtype=np.int16) * 1000

    sound = Window((Region(1, 3, 1, 3), Region(7, 9, 7, 9))).sound(samples)

    np.testing.assert_allclose(sound * 32768, [1000, 2000, 7000, 8000])
    assert sound.dtype == np.float32


def test_a_word_goes_back_to_where_it_was_spoken() -> None:
    window = Window((region(10, 12), region(40, 43)))

    assert window.to_recording(*seconds(0.5, 1)) == (10.5 * RATE_HZ, 11 * RATE_HZ)
    assert window.to_recording(*seconds(2.5, 3)) == (40.5 * RATE_HZ, 41 * RATE_HZ)


def test_a_word_stretched_over_a_removed_silence_ends_with_the_voice() -> None:
    window = Window((region(10, 12), region(40, 43)))

    assert window.to_recording(*seconds(0.5, 2.5)) == (10.5 * RATE_HZ, 12 * RATE_HZ)
    assert window.to_recording(*seconds(1.5, 4)) == (40 * RATE_HZ, 42 * RATE_HZ)
    assert window.to_recording(*seconds(4.5, 9)) == (42.5 * RATE_HZ, 43 * RATE_HZ)


def test_the_first_word_begins_with_the_voice_and_not_with_the_window() -> None:
    window = Window((region(10, 14, pad_s=0.4),))

    start, end = window.to_recording(*seconds(0, 0.9))

    assert (start / RATE_HZ, end / RATE_HZ) == (10.25, 10.9)
    assert window.to_recording(*seconds(3, 4))[1] == 13.75 * RATE_HZ


def test_evenly_spoken_words_are_no_lead() -> None:
    window = Window((region(0, 2), region(3, 5)))
    words = [seconds(i * 0.5, i * 0.5 + 0.5) for i in range(8)]

    assert split_at_leads(window, words) == [window]


def test_a_word_stretched_over_a_pause_cuts_the_window_there() -> None:
    window = Window((region(0, 2), region(3, 6), region(7, 9)))

    parts = split_at_leads(window, [seconds(0, 1), seconds(1, 4.5)])

    assert parts[0].regions == (region(0, 2),)
    assert sum(part.length for part in parts) == window.length


def test_voice_that_nobody_wrote_down_cuts_the_window_too() -> None:
    window = Window((region(0, 2), region(3, 6)))
    words = [seconds(i * 0.5, i * 0.5 + 0.5) for i in range(4)]

    assert [part.regions for part in split_at_leads(window, words)] == [
        (region(0, 2),),
        (region(3, 6),),
    ]


def test_voice_is_found_where_somebody_speaks_and_not_in_noise() -> None:
    line = speak("Anybody who speaks is heard by this.")
    samples = np.concatenate([noise(5), line, noise(5)])

    found = find_voice(samples)

    assert len(found) == 1
    assert abs(found[0].voice_start / RATE_HZ - 5) < 0.2
    assert abs(found[0].voice_end - (5 * RATE_HZ + line.size)) / RATE_HZ < 0.3
    assert found[0].start == found[0].voice_start - 0.4 * RATE_HZ


def test_close_stretches_of_voice_share_the_pause_between_them() -> None:
    line = speak("Anybody who speaks is heard by this.")
    samples = np.concatenate([line, pause(0.5), line])

    found = find_voice(samples)

    assert found[0].start == 0
    assert found[-1].end == samples.size
    assert all(a.end <= b.start <= a.end + 1 for a, b in pairwise(found))
    assert len(found) >= 2


def test_silence_and_nothing_hold_no_voice() -> None:
    assert find_voice(pause(3)) == []
    assert find_voice(pause(0)) == []
    assert find_voice(pause(0.001)) == []
