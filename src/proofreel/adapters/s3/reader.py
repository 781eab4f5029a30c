"""The bytes of one version of an object, over as many connections as it takes."""

from __future__ import annotations

import hashlib
import io
import random
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from proofreel.adapters.s3.client import BROKEN_OFF, MISSING, error_code, translated
from proofreel.adapters.storage import (
    ObjectChanged,
    ObjectDamaged,
    ObjectMissing,
    StorageUnavailable,
)
from proofreel.core.model import ArtifactRef

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK_BYTES = 1024 * 1024
_TRIES = 5  # without a byte in between
_ACTION = "read a file"


class ObjectReader(io.RawIOBase):
    """Reads at most `length` bytes of what `ref` names, from byte `start` on.

    Opens at once: raises ObjectMissing, ObjectChanged, StorageUnavailable, StorageMisconfigured.
    A connection that breaks off, or stalls, is followed by another from the same byte of the same
    version on. Of an object whose digest is known, the last bytes of a complete reading are only
    given out once the digest of all is right; else ObjectDamaged is raised.
    """

    def __init__(self, client: Any, bucket: str, ref: ArtifactRef, start: int, length: int) -> None:
        self._client, self._bucket, self._ref = client, bucket, ref
        self._at, self._end, self._size = start, start + length, 0
        self._etag = ref.etag
        self._digest = hashlib.sha256() if ref.sha256 and start == 0 else None
        self._body: Any = None
        self._open_body(first=True)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(min(len(view), self._end - self._at, CHUNK_BYTES))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
        super().close()

    def _read(self, wanted: int) -> bytes:
        if wanted <= 0:
            return b""
        data = self._some(wanted)
        self._at += len(data)
        if self._digest is not None:
            self._digest.update(data)
            if self._at == self._size and self._digest.hexdigest() != self._ref.sha256:
                raise ObjectDamaged(self._ref.key)
        return data

    def _some(self, wanted: int) -> bytes:
        """Return at least one byte, whatever happens to the connection."""
        broken: Exception = EOFError("the answer ended early")
        for tries in range(_TRIES):
            try:
                if tries:
                    time.sleep(random.uniform(0, 2.0**tries / 2))  # noqa: S311 - spreads load
                    self._open_body(first=False)
                if data := self._body.read(wanted):
                    return bytes(data)
            except BROKEN_OFF as error:
                broken = error
        raise StorageUnavailable(_ACTION, f"{type(broken).__name__}: {broken}") from broken

    def _open_body(self, *, first: bool) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
        request = {"Bucket": self._bucket, "Key": self._ref.key}
        if self._etag:
            request["IfMatch"] = self._etag
        request["Range"] = f"bytes={self._at}-{max(self._end - 1, self._at)}"
        try:
            with translated(_ACTION):
                self._take(request, first=first)
        except StorageUnavailable as error:
            cause = error.__cause__
            code = error_code(cause) if isinstance(cause, ClientError) else ""
            if code in MISSING:
                raise ObjectMissing(self._ref.key) from error
            if code in ("PreconditionFailed", "412"):
                changed = ObjectChanged if first else ObjectDamaged
                raise changed(self._ref.key) from error
            if code in ("InvalidRange", "416"):  # it ends before `start`, or is empty
                if self._ref.sha256 and self._ref.size_bytes > self._at:
                    raise ObjectDamaged(self._ref.key) from error
                self._end = self._size = self._at
                return
            raise

    def _take(self, request: dict[str, str], *, first: bool) -> None:
        answer = self._client.get_object(**request)
        self._body = answer["Body"]
        if not first:
            return
        self._etag = answer["ETag"]
        whole = answer.get("ContentRange", "")
        self._size = int(whole.rpartition("/")[2]) if whole else int(answer["ContentLength"])
        self._end = min(self._end, self._size)
        if self._ref.sha256 and self._ref.size_bytes != self._size:
            raise ObjectDamaged(self._ref.key)
