"""What each hop hands to the next: small values, and refs to anything that grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proofreel.core.jobs import Artifact
from proofreel.core.model import ArtifactRef, MediaInfo
from proofreel.core.scaling import ScalePlan


@dataclass(frozen=True)
class Probed:
    """`plan` None: the file is small enough; `scale_note` says why an oversized one has none.

    `sha256` is the digest of the recording, which its ref has only if it was uploaded through us.
    """

    info: MediaInfo
    plan: ScalePlan | None
    scale_note: str
    sha256: str = ""  # as in checkpoints of earlier releases


@dataclass(frozen=True)
class Scaled:
    """`artifact` None: no copy could be made, `note` says why."""

    artifact: Artifact | None
    note: str


@dataclass(frozen=True)
class Sound:
    """The recording's sound, 16 kHz mono."""

    audio: ArtifactRef
    duration_ms: int


@dataclass(frozen=True)
class Heard:
    """The transcript, stored as `core/transcript.py` writes it."""

    transcript: ArtifactRef
    language: str


@dataclass(frozen=True)
class Loudness:
    """Levels per window as a numpy file (`core/levels.py`)."""

    levels: ArtifactRef
    window_ms: int
    duration_ms: int


@dataclass(frozen=True)
class Texts:
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True)
class Review:
    artifacts: tuple[Artifact, ...]
    summary: Mapping[str, object]
    headline: str
    tape: Mapping[str, object]
