"""Samples to words with faster-whisper; runs in the child process only.

Voice is found first, so that nothing is written where nobody speaks; the recording is read in
pieces, so that memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from numpy.typing import NDArray

from proofreel.adapters.device import DeviceChoice
from proofreel.adapters.speech_windows import (
    RATE_HZ,
    WINDOW_SAMPLES,
    Region,
    Window,
    find_voice,
    pack,
    split_at_leads,
)

_PIECE_SAMPLES = 150 * RATE_HZ  # what finding voice in it takes stays below 100 MB
_PIECE_TAIL_SAMPLES = RATE_HZ  # voice that close to a piece's end may go on in the next
# Windows stand this far apart in the buffer that is recognised, so that none runs into the next.
_SLOT_SAMPLES = WINDOW_SAMPLES + RATE_HZ
# Whisper's own signs of a text that went wrong (openai-whisper's defaults).
_REPETITIVE_RATIO = 2.4
_DOUBTFUL_LOGPROB = -1.0
# Honest repetition, retakes above all, reaches ratios of 5 too, but its words take time; in a loop
# most take none (measured: 0 to 20 % in speech, 30 to 80 % in loops).
_INSTANT_SAMPLES = RATE_HZ * 30 // 1000
_LOOPING_INSTANTS = 0.25
_LOOPING_RATIO = 10.0
# A second try costs up to this many decodes of one window: fewer than Whisper's usual six.
_CAREFUL_TEMPERATURES = (0.0, 0.4, 0.8)
_CAREFUL_BEAM = 5
_CAREFUL_BEST_OF = 2
_FIRST_BATCH = 4  # windows: half a batch, no fewer than the language is detected on
_DETECTION_WINDOWS = 4  # asked for the language until one is sure; mostly the first is
_FRAMES_PER_S = 100  # Whisper's features


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How to decode; `language` None: detect it."""

    language: str | None
    task: str
    prompt: str | None
    beam_size: int
    batch_size: int


@dataclass(frozen=True, slots=True)
class DecodedWord:
    """A word with the space that Whisper puts before it; samples from the recording's start."""

    start: int
    end: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded window (or part of one) and the figures Whisper gave for it."""

    words: tuple[DecodedWord, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float

    @property
    def loops(self) -> bool:
        """Whether Whisper got stuck in repeating itself."""
        if self.compression_ratio <= _REPETITIVE_RATIO:
            return False
        instants = sum(word.end - word.start <= _INSTANT_SAMPLES for word in self.words)
        return (
            self.compression_ratio > _LOOPING_RATIO
            or instants > len(self.words) * _LOOPING_INSTANTS
        )

    @property
    def went_wrong(self) -> bool:
        return self.loops or self.avg_logprob < _DOUBTFUL_LOGPROB


@dataclass(frozen=True, slots=True)
class _First:
    """What the first pass made of a window; several `parts`: how to cut it for a second pass."""

    window: Window
    decoded: Decoded
    parts: list[Window]


class Recogniser:
    """A loaded model. Not for several threads."""

    def __init__(self, folder: str, choice: DeviceChoice, threads: int) -> None:
        self._model: Any = WhisperModel(
            folder,
            device=choice.device,
            compute_type=choice.compute_type,
            cpu_threads=threads,
            local_files_only=True,
        )
        self._batched: Any = BatchedInferencePipeline(self._model)

    @property
    def multilingual(self) -> bool:
        return bool(self._model.model.is_multilingual)

    def transcribe(
        self,
        samples: NDArray[np.int16],
        options: DecodeOptions,
        on_progress: Callable[[float], None],
    ) -> dict[str, Any]:
        """Return {"language", "decoded"}, ready for JSON; language "" where there is no voice."""
        ctranslate2.set_random_seed(0)  # the second try of a window samples: same file, same text
        job = _Job(self._model, self._batched, samples, options)
        decoded = job.run(on_progress)
        return {"language": job.language or "", "decoded": [asdict(one) for one in decoded]}


class _Job:
    """One recording on its way through the model."""

    def __init__(
        self, model: Any, batched: Any, samples: NDArray[np.int16], options: DecodeOptions
    ) -> None:
        self._model, self._batched = model, batched
        self._samples, self._options = samples, options
        self.language = options.language

    def run(self, on_progress: Callable[[float], None]) -> list[Decoded]:
        """Return what was decoded, not quite in order of time."""
        decoded: list[Decoded] = []
        suspects: list[_First] = []
        for batch in _growing_batches(pack(_voice(self._samples)), self._options.batch_size):
            for first in self._decode(batch):
                if first.decoded.went_wrong:
                    decoded += self._decode_carefully(first)
                elif len(first.parts) > 1:
                    suspects.append(first)
                else:
                    decoded.append(first.decoded)
            if sum(len(first.parts) for first in suspects) >= self._options.batch_size:
                decoded += self._decode_apart(suspects)
                suspects = []
            on_progress(batch[-1].regions[-1].end / self._samples.size)
        return decoded + self._decode_apart(suspects)

    def _decode(self, batch: Sequence[Window]) -> list[_First]:
        """Decode up to a batch of windows side by side."""
        buffer = np.zeros(len(batch) * _SLOT_SAMPLES, dtype=np.float32)
        clips: list[dict[str, float]] = []
        for slot, window in enumerate(batch):
            start = slot * _SLOT_SAMPLES
            buffer[start : start + window.length] = window.sound(self._samples)
            clips.append({"start": start / RATE_HZ, "end": (start + window.length) / RATE_HZ})
        segments, info = self._batched.transcribe(
            buffer,
            clip_timestamps=clips,
            language=self.language,
            language_detection_segments=_DETECTION_WINDOWS,
            task=self._options.task,
            initial_prompt=self._options.prompt,
            beam_size=self._options.beam_size,
            batch_size=self._options.batch_size,
            word_timestamps=True,
        )
        self.language = str(info.language)
        firsts: list[_First] = []
        for segment in segments:
            slot = int(segment.seek) * (RATE_HZ // _FRAMES_PER_S) // _SLOT_SAMPLES
            firsts.append(_first(segment, batch[slot], slot * _SLOT_SAMPLES))
        return firsts

    def _decode_apart(self, suspects: list[_First]) -> list[Decoded]:
        """Decode windows cut at their leads; keep of each what brings more words to light."""
        found: dict[Window, list[Decoded]] = {}
        parts = [part for first in suspects for part in first.parts]
        for batch in _batches(parts, self._options.batch_size):
            for part in self._decode(batch):
                found.setdefault(part.window, []).append(part.decoded)
        kept: list[Decoded] = []
        for first in suspects:
            apart = [one for part in first.parts for one in found.get(part, [])]
            n_words = sum(len(one.words) for one in apart)
            better = n_words > len(first.decoded.words) and not any(one.went_wrong for one in apart)
            kept += apart if better else [first.decoded]
        return kept

    def _decode_carefully(self, first: _First) -> list[Decoded]:
        """Decode one window again with Whisper's fallbacks, which batches do without."""
        segments, _ = self._model.transcribe(
            first.window.sound(self._samples),
            language=self.language,
            task=self._options.task,
            initial_prompt=self._options.prompt,
            beam_size=_CAREFUL_BEAM,
            best_of=_CAREFUL_BEST_OF,
            temperature=_CAREFUL_TEMPERATURES,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        again = [_first(segment, first.window, 0).decoded for segment in segments]
        if any(one.loops for one in again):
            worst = max(one.compression_ratio for one in again)
            better = first.decoded.loops and worst < first.decoded.compression_ratio
            return again if better else [first.decoded]
        return again


def _first(segment: Any, window: Window, offset: int) -> _First:
    """Take over a segment of faster-whisper whose times start `offset` samples too late."""
    raw = segment.words or ()
    spans = [
        (word.start * RATE_HZ - offset, max(word.start, word.end) * RATE_HZ - offset)
        for word in raw
    ]
    words = (
        DecodedWord(*window.to_recording(*span), str(word.word), float(word.probability))
        for span, word in zip(spans, raw, strict=True)
    )
    decoded = Decoded(
        tuple(words),
        avg_logprob=float(segment.avg_logprob),
        compression_ratio=float(segment.compression_ratio),
        no_speech_prob=float(segment.no_speech_prob),
    )
    return _First(window, decoded, split_at_leads(window, spans))


def _voice(samples: NDArray[np.int16]) -> Iterator[Region]:
    """Yield the stretches of voice, reading the recording piece by piece."""
    start = 0
    while start < samples.size:
        end = min(start + _PIECE_SAMPLES, samples.size)
        regions = [found.later(start) for found in find_voice(samples[start:end])]
        if end < samples.size and regions and regions[-1].end > end - _PIECE_TAIL_SAMPLES:
            # The piece may have cut this one: the next piece begins with it.
            end = max(regions.pop().start, start + RATE_HZ)
        yield from regions
        start = end


def _batches(windows: Iterable[Window], size: int) -> Iterator[list[Window]]:
    """Yield windows in lists of at most `size`."""
    remaining = iter(windows)
    while batch := list(islice(remaining, size)):
        yield batch


def _growing_batches(windows: Iterable[Window], size: int) -> Iterator[list[Window]]:
    """The same, but the first list is a small one, so that progress shows soon."""
    remaining = iter(windows)
    yield from _batches(islice(remaining, _FIRST_BATCH), size)
    yield from _batches(remaining, size)
