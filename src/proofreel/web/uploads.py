"""Recordings as they arrive: from the socket straight into the storage, in bounded memory.

Werkzeug's own form parser would write each file to a temporary one first. Here its decoder feeds
the storage directly, so every byte is written once and a broken upload leaves nothing behind.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from flask import request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from proofreel.adapters.storage import Label, ObjectMissing, UploadTooLarge
from proofreel.adapters.uploads import is_record, record_upload, recorded_upload
from proofreel.core.media_types import media_type
from proofreel.core.model import ArtifactRef
from proofreel.core.names import safe_name
from proofreel.errors import ProofreelError
from proofreel.web.errors import BadRequest, StorageLow
from proofreel.web.services import services

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_FORM_BYTES = 500_000  # of one field, and of the headers of a part
MAX_PARTS = 100
_FRAME_BYTES = 1_000_000  # what boundaries, headers and fields may add to the file itself
_READ_BYTES = 64 * 1024
_ROOM_CHECK_BYTES = 64 * 1024 * 1024  # how often the free space is looked at during an upload


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored recording, the label it came with made safe, and the other fields of the form."""

    ref: ArtifactRef
    name: str
    fields: Mapping[str, str]


def new_upload_key(label: str) -> str:
    """Return a fresh storage key for a recording called `label`; nobody can guess it."""
    return f"uploads/{secrets.token_hex(16)}/{safe_name(label)}"


def receive_upload() -> Upload:
    """Store the part `file` of the request's multipart form.

    Raises BadRequest (`file_missing`, `file_empty`, `multipart_invalid`, `upload_broken`),
    UploadTooLarge, StorageLow or what the storage raises; then nothing of it was kept.
    """
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary.isascii() or not boundary:
        raise BadRequest(
            "Send the recording as multipart/form-data, in a part called 'file'.", "file_missing"
        )
    limit_bytes = services().max_upload_bytes
    if (request.content_length or 0) > limit_bytes + _FRAME_BYTES:
        raise UploadTooLarge(limit_bytes)
    _check_room(request.content_length or 0)
    request.max_content_length = limit_bytes + _FRAME_BYTES
    upload = _Form(boundary.encode()).store()
    if upload is None:
        raise BadRequest("The form has no recording in a part called 'file'.", "file_missing")
    if upload.ref.size_bytes == 0:
        discard_upload(upload.ref)
        raise BadRequest("The file is empty.", "file_empty")
    try:
        record_upload(services().storage, upload.ref)
    except ProofreelError:
        with suppress(ProofreelError):
            discard_upload(upload.ref)
        raise
    return upload


def discard_upload(ref: ArtifactRef) -> None:
    """Remove a recording that no job was made from."""
    services().storage.delete_prefix(ref.key.rpartition("/")[0])


def recall_stored(key: str) -> ArtifactRef:
    """Return what lies under `key`: an upload as it was noted, or any other object of the storage
    in its present version. Raises ObjectMissing, UploadTooLarge, BadRequest `file_empty`.
    """
    storage = services().storage
    found = storage.stat(key)
    if found is None or is_record(key):
        raise ObjectMissing(key)
    if found.size_bytes > services().max_upload_bytes:
        raise UploadTooLarge(services().max_upload_bytes)
    if found.size_bytes == 0:
        raise BadRequest("The file is empty.", "file_empty")
    return recorded_upload(storage, key) or found.ref


class _Form:
    """One multipart body, read once, from front to back."""

    def __init__(self, boundary: bytes) -> None:
        self._decoder = MultipartDecoder(boundary, MAX_FORM_BYTES, max_parts=MAX_PARTS)
        self._fields: dict[str, str] = {}
        self._ref: ArtifactRef | None = None
        self._name = ""

    def store(self) -> Upload | None:
        """Store the part `file`; None if there is none. On any error nothing stays."""
        try:
            events = self._events()
            for event in events:
                if isinstance(event, File) and event.name == "file" and event.filename:
                    self._store_file(event.filename, events)
                elif isinstance(event, Field):
                    self._fields[event.name or ""] = self._read_field(events)
        except BaseException:
            if self._ref is not None:
                with suppress(ProofreelError):
                    discard_upload(self._ref)
            raise
        return Upload(self._ref, self._name, self._fields) if self._ref else None

    def _events(self) -> Iterator[Event]:
        while True:
            try:
                event = self._decoder.next_event()
                if isinstance(event, NeedData):
                    self._decoder.receive_data(request.stream.read(_READ_BYTES) or None)
                    continue
            except ValueError:
                raise BadRequest(
                    "The form ends too early or is not multipart/form-data.", "multipart_invalid"
                ) from None
            except ClientDisconnected:
                raise BadRequest("The upload broke off.", "upload_broken") from None
            if isinstance(event, Epilogue):
                return
            yield event

    def _store_file(self, label: str, events: Iterator[Event]) -> None:
        if self._ref is not None:
            raise BadRequest("Send one recording at a time.", "file_repeated")
        key = new_upload_key(label)
        limit_bytes = services().max_upload_bytes
        self._name = key.rpartition("/")[2]
        self._ref = services().storage.put_stream(
            key,
            _reader(events),
            max_bytes=limit_bytes,
            label=Label(media_type(self._name), self._name),
        )

    def _read_field(self, events: Iterator[Event]) -> str:
        value = _reader(events).read(MAX_FORM_BYTES + 1)
        if len(value) > MAX_FORM_BYTES:
            raise BadRequest("A field of the form is too long.")
        return value.decode(errors="replace")


class _PartReader(io.RawIOBase):
    """The bytes of the part that `events` has come to."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._left = memoryview(b"")
        self._more = True
        self._unchecked_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._left and self._more:
            event = next(self._events)
            if not isinstance(event, Data):
                raise BadRequest("The form is not multipart/form-data.", "multipart_invalid")
            self._left, self._more = memoryview(event.data), event.more_data
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        self._unchecked_bytes += count
        if self._unchecked_bytes >= _ROOM_CHECK_BYTES:
            self._unchecked_bytes = 0
            _check_room(0)
        return count


def _reader(events: Iterator[Event]) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_PartReader(events), _READ_BYTES))


def _check_room(needed_bytes: int) -> None:
    free_bytes = services().storage.free_bytes()
    if free_bytes is not None and free_bytes - needed_bytes < services().min_free_bytes:
        raise StorageLow
