from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from proofreel.core.levels import FLOOR_DBFS, Levels, measure_levels, waveform
from tests.speech_samples import RATE_HZ, noise, pause, tone


def test_a_tone_has_its_level_in_every_window() -> None:
    levels = measure_levels(tone(1.0, frequency_hz=400, level_dbfs=-20))

    assert levels.dbfs.shape == (100,)
    assert levels.dbfs.dtype == np.float32
    assert levels.dbfs == pytest.approx(-20, abs=0.05)
    assert levels.duration_ms == 1000


def test_digital_zero_is_the_floor() -> None:
    assert measure_levels(pause(0.1)).dbfs.tolist() == [FLOOR_DBFS] * 10


def test_full_scale_is_zero_decibels_for_both_sample_types() -> None:
    loud = np.full(1600, -32768, dtype=np.int16)

    assert measure_levels(loud).dbfs == pytest.approx(0.0)
    assert measure_levels(np.ones(1600, dtype=np.float32)).dbfs == pytest.approx(0.0)


def test_int16_and_float32_give_the_same_levels() -> None:
    samples = noise(0.5, level_dbfs=-30)

    as_float = measure_levels((samples / 32768).astype(np.float32))

    assert as_float.dbfs == pytest.approx(measure_levels(samples).dbfs, abs=1e-3)


def test_chunks_of_any_size_give_the_same_levels_as_one_array() -> None:
    samples = noise(1.234, level_dbfs=-30)
    whole = measure_levels(samples)
    pieces = np.array_split(samples, [1, 159, 161, 7000])

    chunked = measure_levels(iter(pieces))

    assert np.array_equal(chunked.dbfs, whole.dbfs)
    assert chunked.duration_ms == whole.duration_ms == 1234


def test_a_last_window_that_is_cut_short_is_measured_over_what_there_is() -> None:
    levels = measure_levels(tone(0.0155, frequency_hz=2000, level_dbfs=-20))

    assert levels.dbfs.size == 2
    assert levels.dbfs[1] == pytest.approx(-20, abs=0.2)
    assert levels.duration_ms == 16


@pytest.mark.parametrize("nothing", [[], pause(0)])
def test_nothing_has_no_levels_and_no_waveform(nothing: NDArray[np.int16]) -> None:
    levels = measure_levels(nothing)

    assert levels.dbfs.size == 0
    assert levels.duration_ms == 0
    assert waveform(levels) == ()


def test_stereo_and_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="int16 or float32"):
        measure_levels(np.zeros((2, 100), dtype=np.int16))
    with pytest.raises(ValueError, match="float64"):
        measure_levels(np.zeros(100))


def test_a_window_must_be_whole_samples() -> None:
    with pytest.raises(ValueError, match="not whole samples"):
        measure_levels(pause(1), sample_rate_hz=11025, window_ms=1)


def test_ten_hours_from_a_file_need_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.pcm"
    n_samples = 10 * 3600 * RATE_HZ
    with path.open("wb") as out:
        out.truncate(2 * n_samples)  # a sparse file of silence
    samples = np.memmap(path, dtype=np.int16, mode="r")

    tracemalloc.start()
    levels = measure_levels(samples)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert levels.duration_ms == 36_000_000
    assert levels.dbfs.size == 3_600_000
    assert peak_bytes < 50_000_000


def test_chunks_are_not_kept() -> None:
    def chunks() -> Iterator[NDArray[np.int16]]:
        for _ in range(60):
            yield pause(10)

    tracemalloc.start()
    measure_levels(chunks())
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 6_000_000


def test_the_waveform_is_high_where_it_is_loud_and_flat_where_it_is_silent() -> None:
    samples = np.concatenate((tone(1, level_dbfs=-10), pause(1), tone(1, level_dbfs=-30)))

    peaks = waveform(measure_levels(samples), n=6)

    assert peaks[0] == peaks[1] == 1.0
    assert peaks[2] == peaks[3] == 0.0
    assert 0.1 < peaks[4] < 0.4


def test_the_waveform_has_no_more_peaks_than_there_are_windows() -> None:
    assert len(waveform(measure_levels(tone(0.05)), n=240)) == 5
    assert len(waveform(measure_levels(tone(30)), n=240)) == 240


def test_a_faint_recording_is_not_drawn_as_a_loud_one() -> None:
    assert max(waveform(measure_levels(noise(5, level_dbfs=-70)))) < 0.1


def test_one_loud_moment_does_not_flatten_the_rest() -> None:
    dbfs = np.full(10_000, -20, dtype=np.float32)
    dbfs[5000:5010] = 0

    assert min(waveform(Levels(dbfs, 10, 100_000))) == 1.0
