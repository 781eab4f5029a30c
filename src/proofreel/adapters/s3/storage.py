"""A `Storage` in a bucket."""

from __future__ import annotations

import io
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote

from botocore.exceptions import ClientError

from proofreel.adapters.local_files import translated as file_errors
from proofreel.adapters.s3.client import (
    MISSING,
    S3Settings,
    error_code,
    make_clients,
    translated,
)
from proofreel.adapters.s3.reader import CHUNK_BYTES, ObjectReader
from proofreel.adapters.s3.upload import Upload
from proofreel.adapters.storage import (
    DAY_MS,
    Label,
    ObjectInfo,
    ObjectMissing,
    check_key,
    check_prefix,
)
from proofreel.adapters.uploads import UPLOAD_KEY
from proofreel.core.disposition import disposition
from proofreel.core.jobs import JOB_ID, Artifact
from proofreel.core.model import ArtifactRef

_MAX_KEY_BYTES = 1024  # of UTF-8, the limit of S3
_BUFFER_BYTES = 256 * 1024
_CHECK_KEY = "jobs/proofreel-write-check"
_JOB_KEY = re.compile(rf"jobs/{JOB_ID.pattern}/")


class S3Storage:
    """A `Storage` in the bucket that `settings` name. What is read may be anyone's; what is
    written follows `check_key`, as everywhere."""

    def __init__(self, settings: S3Settings, *, brisk: bool = False) -> None:
        """With `brisk` a call ends within a quarter of a minute, if only by a refusal: requests
        hold a thread each. What is stored is sent as patiently as ever."""
        self._settings, self._bucket = settings, settings.bucket
        clients = make_clients(settings)
        self._client = clients.brisk if brisk else clients.patient
        self._patient, self._hasty, self._outside = clients.patient, clients.hasty, clients.outside

    def put_stream(
        self,
        key: str,
        stream: BinaryIO,
        *,
        max_bytes: int | None = None,
        label: Label | None = None,
    ) -> ArtifactRef:
        check_key(key)
        about = _about(label) if label else {}
        return Upload(self._patient, self._bucket, key, about).store(stream, max_bytes)

    def put_file(self, key: str, path: Path, *, label: Label | None = None) -> ArtifactRef:
        with path.open("rb") as stream:
            return self.put_stream(key, stream, label=label)

    def put_bytes(self, key: str, data: bytes, *, label: Label | None = None) -> ArtifactRef:
        return self.put_stream(key, io.BytesIO(data), label=label)

    def fetch(
        self, ref: ArtifactRef, target: Path, *, check: Callable[[], None] = lambda: None
    ) -> None:
        part = target.with_name(f"{target.name}.{secrets.token_hex(8)}.part")
        try:
            with self.open_range(ref, 0, sys.maxsize) as source, file_errors("keep a file"):
                with part.open("wb") as out:
                    while chunk := source.read(CHUNK_BYTES):
                        check()
                        out.write(chunk)
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def read_bytes(self, ref: ArtifactRef) -> bytes:
        with self.open_range(ref, 0, sys.maxsize) as source:
            return source.read()

    def open_range(self, ref: ArtifactRef, start: int, length: int) -> BinaryIO:
        if start < 0 or length < 0:
            raise ValueError(f"a range cannot start at {start} and have {length} bytes")
        if not _can_be_named(ref.key):
            raise ObjectMissing(ref.key)
        reader = ObjectReader(self._client, self._bucket, ref, start, length)
        return cast(BinaryIO, io.BufferedReader(reader, _BUFFER_BYTES))

    def stat(self, key: str) -> ObjectInfo | None:
        if not _can_be_named(key):
            return None
        try:
            with translated("look up a file"):
                return self._head(key)
        except ObjectMissing:
            return None

    def list_objects(self, prefix: str) -> tuple[ObjectInfo, ...]:
        check_prefix(prefix)
        with translated("list files"):
            return tuple(self._listed(prefix.removesuffix("/") + "/"))

    def delete(self, key: str) -> None:
        check_key(key)
        with translated("delete a file"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def delete_prefix(self, prefix: str) -> None:
        # One by one: deleting many at once takes a checksum that services disagree about, and a
        # job has a dozen files.
        for found in self.list_objects(prefix):
            with translated("delete a file"):
                self._client.delete_object(Bucket=self._bucket, Key=found.key)

    def sweep(self, older_than_ms: int = DAY_MS) -> int:
        until_s = time.time() - older_than_ms / 1000
        removed = 0
        with translated("tidy up"):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._bucket):
                for begun in page.get("Uploads", ()):
                    if _is_ours(begun["Key"]) and begun["Initiated"].timestamp() <= until_s:
                        self._client.abort_multipart_upload(
                            Bucket=self._bucket, Key=begun["Key"], UploadId=begun["UploadId"]
                        )
                        removed += 1
        return removed

    def link(self, file: Artifact) -> str | None:
        match self._settings.links:
            case "service":
                return None
            case "public":
                return self._public_url(file.ref.key)
        about = _about(Label(file.content_type, file.name))
        asked = {f"Response{name}": value for name, value in about.items()}
        return self._signed(file.ref.key, asked, self._settings.link_ttl_s)

    def free_bytes(self) -> int | None:
        return None

    def check(self, *, thorough: bool = False) -> None:
        with translated("list files"):
            self._hasty.list_objects_v2(Bucket=self._bucket, Prefix="jobs/", MaxKeys=1)
        if thorough:
            with translated("store a file"):
                self._hasty.put_object(Bucket=self._bucket, Key=_CHECK_KEY, Body=b"")
                self._hasty.delete_object(Bucket=self._bucket, Key=_CHECK_KEY)

    def _head(self, key: str) -> ObjectInfo:
        """Raises ObjectMissing, or what the library raises."""
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error_code(error) in MISSING:
                raise ObjectMissing(key) from error
            raise
        modified_at_ms = int(found["LastModified"].timestamp() * 1000)
        return ObjectInfo(key, found["ContentLength"], modified_at_ms, found["ETag"])

    def _listed(self, prefix: str) -> Iterator[ObjectInfo]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                modified_at_ms = int(found["LastModified"].timestamp() * 1000)
                yield ObjectInfo(found["Key"], found["Size"], modified_at_ms, found["ETag"])

    def _public_url(self, key: str) -> str:
        if base := self._settings.public_url:
            return f"{base.rstrip('/')}/{quote(key)}"
        return self._signed(key, {}, self._settings.link_ttl_s).partition("?")[0]

    def _signed(self, key: str, asked: dict[str, str], ttl_s: int) -> str:
        with translated("make a link"):
            url: str = self._outside.generate_presigned_url(
                "get_object",
                Params={"Bucket": self._bucket, "Key": key, **asked},
                ExpiresIn=ttl_s,
            )
        return url


def _about(label: Label) -> dict[str, str]:
    return {
        "ContentType": label.content_type,
        "ContentDisposition": disposition(label.file_name, inline=False),
    }


def _is_ours(key: str) -> bool:
    """Tell whether only we write there: the unfinished uploads of others are theirs."""
    return bool(UPLOAD_KEY.match(key) or _JOB_KEY.match(key))


def _can_be_named(key: str) -> bool:
    """Tell whether `key` can be a key of this bucket and of no other.

    Dots as a whole segment are refused: proxies and services on the way resolve them like the
    segments of a path, up to another bucket.
    """
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError:  # a lone surrogate
        return False
    if not 0 < size_bytes <= _MAX_KEY_BYTES or "\0" in key:
        return False
    return not {".", ".."} & set(re.split(r"[/\\]", key))
