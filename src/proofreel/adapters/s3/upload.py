"""Bytes on their way into the bucket: one call for a small object, parts for a large one."""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from proofreel.adapters.s3.client import translated
from proofreel.adapters.s3.reader import CHUNK_BYTES
from proofreel.adapters.storage import StorageUnavailable, UploadTooLarge
from proofreel.core.model import ArtifactRef

_PART_BYTES = 8 * 1024 * 1024  # S3 takes parts of 5 MiB and more, and at most 10,000 of them
_PARTS_OF_A_SIZE = 1000  # then twice as large ones: 8 GB, 16 GB, … within ten such steps
_IN_FLIGHT = 2  # parts that are sent while the next one is read
_ACTION = "store a file"
_MARK = "proofreel-write"  # metadata that tells our write of a key from any other


class Upload:
    """One write of one object. A body is signed with its SHA-256, so the service checks it."""

    def __init__(self, client: Any, bucket: str, key: str, about: dict[str, str]) -> None:
        self._client, self._about = client, about
        self._place = {"Bucket": bucket, "Key": key}
        self._digest, self._size = hashlib.sha256(), 0

    def store(self, stream: BinaryIO, max_bytes: int | None) -> ArtifactRef:
        """Store all of `stream`, at most three parts of it in memory at a time.

        Raises UploadTooLarge, StorageFull, StorageUnavailable, StorageMisconfigured or what
        reading the stream raises; then no part is left, and the key is as it was unless the service
        stored the object and could not be asked whether it had.
        """
        parts = self._parts(stream, max_bytes)
        first = next(parts)
        if len(first) < _PART_BYTES:
            with translated(_ACTION):
                self._client.put_object(**self._place, **self._about, Body=first)
        else:
            self._store_parts(first, parts)
        return ArtifactRef(self._place["Key"], self._digest.hexdigest(), self._size)

    def _parts(self, stream: BinaryIO, max_bytes: int | None) -> Iterator[bytes]:
        """Yield full parts, then one that may be short or, first of all, empty."""
        part_bytes, count = _PART_BYTES, 0
        part = bytearray()
        while chunk := stream.read(CHUNK_BYTES):
            self._size += len(chunk)
            if max_bytes is not None and self._size > max_bytes:
                raise UploadTooLarge(max_bytes)
            self._digest.update(chunk)
            part += chunk
            while len(part) >= part_bytes:
                with memoryview(part) as view:  # so that it is copied once, not twice
                    full = bytes(view[:part_bytes])
                del part[:part_bytes]
                yield full
                del full
                count += 1
                if count % _PARTS_OF_A_SIZE == 0:
                    part_bytes *= 2
        if part or not count:
            yield bytes(part)

    def _store_parts(self, first: bytes, rest: Iterator[bytes]) -> None:
        mark = secrets.token_hex(16)
        with translated(_ACTION):
            begun = self._client.create_multipart_upload(
                **self._place, **self._about, Metadata={_MARK: mark}
            )
        upload = {**self._place, "UploadId": begun["UploadId"]}
        try:
            done = self._send_all(upload, first, rest)
            self._complete(upload, done, mark)
        except BaseException:
            # what cannot be removed now, `sweep` removes
            with suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(**upload)
            raise

    def _send_all(
        self, upload: dict[str, str], first: bytes, rest: Iterator[bytes]
    ) -> list[dict[str, object]]:
        done: list[dict[str, object]] = []
        sending: deque[Future[dict[str, object]]] = deque()
        with ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="s3-part") as pool:
            try:
                sending.append(pool.submit(self._send, upload, 1, first))
                for number, part in enumerate(rest, 2):
                    if len(sending) == _IN_FLIGHT:
                        done.append(sending.popleft().result())
                    sending.append(pool.submit(self._send, upload, number, part))
                done.extend(future.result() for future in sending)
            except BaseException:
                pool.shutdown(cancel_futures=True)  # no part may arrive after the upload's end
                raise
        return done

    def _send(self, upload: dict[str, str], number: int, part: bytes) -> dict[str, object]:
        with translated(_ACTION):
            answer = self._client.upload_part(**upload, PartNumber=number, Body=part)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _complete(self, upload: dict[str, str], done: list[dict[str, object]], mark: str) -> None:
        """Put the parts together. An answer that was lost does not make it undone."""
        try:
            with translated(_ACTION):
                self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
        except StorageUnavailable:
            if not self._is_ours(mark):
                raise

    def _is_ours(self, mark: str) -> bool:
        with translated(_ACTION):
            found = self._client.head_object(**self._place)
        # names of headers come in any case
        marks = {name.lower(): value for name, value in found["Metadata"].items()}
        return bool(found["ContentLength"] == self._size and marks.get(_MARK) == mark)
