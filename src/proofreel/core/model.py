"""The frozen values that travel between steps.

Times are integer milliseconds from the start of the media.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Task = Literal["transcribe", "translate"]
Evidence = Mapping[str, float | int | str | bool]  # the numbers that led to a finding, by name


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open stretch of the recording, [start_ms, end_ms)."""

    start_ms: int
    end_ms: int

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Word:
    """One word as Whisper wrote it, without surrounding spaces; `probability` is 0 to 1."""

    start_ms: int
    end_ms: int
    text: str
    probability: float

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch that Whisper decoded as one line of text, with the figures it gave for it."""

    id: int
    start_ms: int
    end_ms: int
    text: str
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said. `language` is an ISO 639-1 code, "" where nothing was said."""

    language: str
    duration_ms: int
    model: str
    segments: tuple[Segment, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)


@dataclass(frozen=True, slots=True)
class VideoStream:
    """The picture as stored; turn it `rotation_deg` (0, 90, 180, 270) clockwise to show it.

    `pixel_aspect` is the width of a stored pixel over its height; `frames_per_s` is 0 if unknown.
    """

    codec: str
    width: int
    height: int
    rotation_deg: int
    frames_per_s: float
    pixel_aspect: float = 1.0


@dataclass(frozen=True, slots=True)
class AudioStream:
    codec: str
    sample_rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds. `container` is FFmpeg's demuxer name. A cover image is not a video."""

    container: str
    duration_ms: int
    video: VideoStream | None
    audio: AudioStream | None


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """Stored bytes: where, what they are, how many.

    What others put into the storage comes without a digest: `sha256` is "" and `etag` names the
    version instead, in the storage's own words.
    """

    key: str
    sha256: str
    size_bytes: int
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch without sound to speak of; `level_dbfs` is its RMS level, 0 = full scale."""

    start_ms: int
    end_ms: int
    level_dbfs: float

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One of the takes of something that was said more than once."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """Something said more than once. `keep` is the index into `occurrences` of the take to keep."""

    kind: str  # "full", "false_start", "multiple", "distant"
    similarity: float  # 0 to 1, of the least similar pair
    keep: int
    occurrences: tuple[Occurrence, ...]
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flag:
    """A passage to look at; `reason` is a machine word such as "filler" or "low_confidence"."""

    start_ms: int
    end_ms: int
    reason: str
    text: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """The review of one recording, every list in order of time."""

    duration_ms: int
    language: str
    silences: tuple[Silence, ...]
    repeats: tuple[Repeat, ...]
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: what is on screen from start to end, one or two lines."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """What to ask of the recogniser. `language` None: detect it."""

    model: str = "base"
    language: str | None = None
    task: Task = "transcribe"
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class JobSpec:
    """An accepted recording and what to do with it. `name` is a label, never a path."""

    source: ArtifactRef
    name: str
    options: SpeechOptions


class Monitor(Protocol):
    """How long work tells how far it is and hears that it should stop."""

    def progress(self, fraction: float) -> None:
        """Note that `fraction` (0 to 1) of the current hop is done. Cheap; may be called often."""

    def check(self) -> None:
        """Raise JobCancelled if the work is no longer wanted. Call it at least once a second."""


class NullMonitor:
    """A Monitor for work that nobody watches."""

    def progress(self, fraction: float) -> None:
        pass

    def check(self) -> None:
        pass
