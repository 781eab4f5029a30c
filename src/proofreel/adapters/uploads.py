"""Recordings that came through us: where they lie in the storage, and what marks them as ours.

Others may use the same bucket, even the same names. Beside each recording of ours lies a record
with its digest and size; nothing without one is ours to remove.
"""

from __future__ import annotations

import re

from proofreel.adapters.storage import ObjectMissing, Storage, any_version
from proofreel.core.model import ArtifactRef

UPLOAD_KEY = re.compile(r"(uploads/[0-9a-f]{32})/[^/]+")
_SUFFIX = ".sha256"
_RECORD = re.compile(rb"([0-9a-f]{64}) ([0-9]{1,18})\n")
_RECORD_BYTES = 100


def record_upload(storage: Storage, ref: ArtifactRef) -> None:
    """Note size and digest beside the recording. Raises what the storage raises."""
    storage.put_bytes(ref.key + _SUFFIX, f"{ref.sha256} {ref.size_bytes}\n".encode())


def recorded_upload(storage: Storage, key: str) -> ArtifactRef | None:
    """Return what was noted of the recording `key`, None if it is none of ours."""
    if not UPLOAD_KEY.fullmatch(key):
        return None
    try:
        with storage.open_range(any_version(key + _SUFFIX), 0, _RECORD_BYTES) as record:
            found = _RECORD.fullmatch(record.read())
    except ObjectMissing:
        return None
    return ArtifactRef(key, found[1].decode(), int(found[2])) if found else None


def is_record(key: str) -> bool:
    """Tell whether `key` is that of a record."""
    return bool(UPLOAD_KEY.fullmatch(key)) and key.endswith(_SUFFIX)


def remove_upload(storage: Storage, key: str) -> None:
    """Remove the recording `key`, then its record."""
    storage.delete(key)
    storage.delete(key + _SUFFIX)
