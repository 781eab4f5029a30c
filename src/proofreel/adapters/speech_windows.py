"""Where there is voice, and how it is packed into the 30 s windows that Whisper reads.

A `Region` is a stretch of voice in the recording. A window holds one or more regions end to end,
the silence between them left out; `Window.to_recording` leads back. All positions are samples at
16 kHz.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
WINDOW_SAMPLES = 30 * RATE_HZ  # Whisper's receptive field
# No word takes longer than this (measured: whole retakes hide in longer ones).
_LEAD_SAMPLES = round(1.2 * RATE_HZ)
_LEAD_MARGIN_SAMPLES = round(0.3 * RATE_HZ)
_PAD_SAMPLES = round(0.4 * RATE_HZ)  # read before and after voice; faster-whisper's own
# A word may begin that much before the voice and end that much after: soft consonants do.
_EDGE_SAMPLES = round(0.15 * RATE_HZ)

Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of voice, [voice_start, voice_end), and the sound around it that is read along."""

    start: int
    end: int
    voice_start: int
    voice_end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    def later(self, by: int) -> Region:
        """Return the same region `by` samples later."""
        return Region(self.start + by, self.end + by, self.voice_start + by, self.voice_end + by)


@dataclass(frozen=True, slots=True)
class Window:
    """Regions that are recognised together, in order of time."""

    regions: tuple[Region, ...]

    @property
    def length(self) -> int:
        return sum(region.length for region in self.regions)

    def sound(self, samples: NDArray[np.int16]) -> Sound:
        """Return the regions of `samples` end to end, shape (length,), -1 to 1."""
        parts = [samples[region.start : region.end] for region in self.regions]
        return _to_sound(np.concatenate(parts))

    def to_recording(self, start: float, end: float) -> tuple[int, int]:
        """Return where [start, end) of the window, in samples, lies in the recording.

        A word belongs to the region its middle is in and never reaches beyond the voice there:
        Whisper lets the first word begin with the window, and stretches words over silences.
        """
        middle, before = (start + end) / 2, 0
        for region in self.regions:
            if middle < before + region.length or region is self.regions[-1]:
                break
            before += region.length
        shift = region.start - before
        lowest = max(region.start, region.voice_start - _EDGE_SAMPLES)
        highest = min(region.end, region.voice_end + _EDGE_SAMPLES)
        first, last = (min(max(round(t) + shift, lowest), highest) for t in (start, end))
        return first, last


def _to_sound(samples: NDArray[np.int16]) -> Sound:
    return np.multiply(samples, np.float32(1 / 32768), dtype=np.float32)


def pack(regions: Iterable[Region]) -> Iterator[Window]:
    """Yield as few windows as hold `regions`, in order: a window costs the same however full."""
    current: list[Region] = []
    length = 0
    for region in regions:
        if current and length + region.length > WINDOW_SAMPLES:
            yield Window(tuple(current))
            current, length = [], 0
        current.append(region)
        length += region.length
    if current:
        yield Window(tuple(current))


def split_at_leads(window: Window, words: Sequence[tuple[float, float]]) -> list[Window]:
    """Cut `window` at its pauses where `words` hint that something said was not written.

    `words` are start and end in samples of the window. Whisper writes an immediate retake once and
    stretches one word over the pause and the other take; that, or voice without words, is a lead.
    Returns the window alone if there is no lead with a pause in or beside it.
    """
    edges = [(0.0, 0.0), *words, (float(window.length), float(window.length))]
    leads = [(start, end) for start, end in words if end - start > _LEAD_SAMPLES]
    leads += [
        (end, start) for (_, end), (start, _) in pairwise(edges) if start - end > _LEAD_SAMPLES
    ]
    windows: list[Window] = []
    current: list[Region] = []
    position = 0
    for region in window.regions:
        if current and any(
            start - _LEAD_MARGIN_SAMPLES <= position <= end + _LEAD_MARGIN_SAMPLES
            for start, end in leads
        ):
            windows.append(Window(tuple(current)))
            current = []
        current.append(region)
        position += region.length
    return [*windows, Window(tuple(current))]


def find_voice(samples: NDArray[np.int16]) -> list[Region]:
    """Return the stretches of voice in `samples`, none longer than a window. Loads Silero VAD."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if not samples.size:
        return []
    options = VadOptions(
        max_speech_duration_s=(WINDOW_SAMPLES - 2 * _PAD_SAMPLES) / RATE_HZ,
        min_silence_duration_ms=160,  # faster-whisper's own for batches
        speech_pad_ms=0,
    )
    found = get_speech_timestamps(_to_sound(samples), options, sampling_rate=RATE_HZ)
    voiced = [(int(f["start"]), min(int(f["end"]), samples.size)) for f in found]
    return _padded([(start, end) for start, end in voiced if end > start], samples.size)


def _padded(voiced: list[tuple[int, int]], n_samples: int) -> list[Region]:
    """Add a margin on both sides of each voice, at most half of the pause before the next."""
    ends = [-2 * _PAD_SAMPLES, *(end for _, end in voiced)]
    starts = [*(start for start, _ in voiced), n_samples + 2 * _PAD_SAMPLES]
    return [
        Region(
            max(0, start - min(_PAD_SAMPLES, (start - end_before) // 2)),
            min(n_samples, end + min(_PAD_SAMPLES, (start_after - end) // 2)),
            start,
            end,
        )
        for (start, end), end_before, start_after in zip(voiced, ends, starts[1:], strict=False)
    ]
