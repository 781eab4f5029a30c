"""What only a bucket can do, and what it does on bad days: a real server behind a bad network."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import httpx
import pytest

from proofreel.adapters.s3 import client as s3_client
from proofreel.adapters.s3.client import S3Settings
from proofreel.adapters.s3.storage import S3Storage
from proofreel.adapters.storage import (
    Label,
    ObjectChanged,
    ObjectDamaged,
    ObjectMissing,
    StorageMisconfigured,
    StorageUnavailable,
    any_version,
)
from proofreel.core.jobs import Artifact
from proofreel.core.model import ArtifactRef
from tests.s3.bucket import client, fresh_bucket, server
from tests.s3.fault_proxy import Fault, Requests, fault_proxy

MIB = 2**20
JOB = "jobs/01m87qmc1gjwekjgbqesd3ysk5"


@pytest.fixture
def bucket() -> S3Settings:
    return fresh_bucket()


@pytest.fixture
def storage(bucket: S3Settings) -> S3Storage:
    return S3Storage(bucket)


@pytest.fixture
def bad_network(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[S3Storage, S3Settings, Requests]]:
    """A storage behind the fault proxy, less patient than in earnest so that tests are short."""
    monkeypatch.setattr(s3_client, "_READ_TIMEOUT_S", 1)
    with fault_proxy(server()["endpoint"]) as (endpoint, requests):
        requests.stall_s = 3.0
        settings = fresh_bucket(endpoint=endpoint)
        yield S3Storage(settings), settings, requests


def unfinished(bucket: S3Settings) -> list[str]:
    found = client().list_multipart_uploads(Bucket=bucket.bucket)
    return [begun["Key"] for begun in found.get("Uploads", ())]


def file(ref: ArtifactRef, name: str, content_type: str) -> Artifact:
    return Artifact("any", name, content_type, ref)


# A bad network


@pytest.mark.parametrize("fault", ["refuse", "stall", "503", "cut", "lost_answer"])
def test_a_small_write_survives(
    bad_network: tuple[S3Storage, S3Settings, Requests], fault: Fault
) -> None:
    storage, bucket, requests = bad_network
    requests.fail_next(fault, fault, fault, only="PUT")

    ref = storage.put_bytes(f"{JOB}/a.srt", b"12345")

    assert requests.done == [f"{fault} PUT"] * 3
    stored = client().get_object(Bucket=bucket.bucket, Key=f"{JOB}/a.srt")
    assert stored["Body"].read() == b"12345"
    assert ref.size_bytes == 5


@pytest.mark.parametrize("fault", ["refuse", "stall", "503", "cut", "lost_answer"])
@pytest.mark.parametrize("call", ["?uploads", "PUT", "POST /{bucket}/{key}?uploadId"])
def test_a_write_in_parts_survives(
    bad_network: tuple[S3Storage, S3Settings, Requests], fault: Fault, call: str
) -> None:
    storage, bucket, requests = bad_network
    data = os.urandom(12 * MIB)
    key = f"{JOB}/large.bin"
    requests.fail_next(fault, fault, only=call.format(bucket=bucket.bucket, key=key))

    ref = storage.put_stream(key, io.BytesIO(data))

    assert len(requests.done) == 2
    assert client().get_object(Bucket=bucket.bucket, Key=key)["Body"].read() == data
    assert ref.size_bytes == len(data)


def test_what_arrives_damaged_at_the_service_is_not_stored(
    bad_network: tuple[S3Storage, S3Settings, Requests],
) -> None:
    storage, bucket, requests = bad_network
    before = storage.put_bytes(f"{JOB}/a", b"before")
    for data in (b"small", os.urandom(10 * MIB)):
        requests.choose = lambda method, path: "damage" if method == "PUT" else None

        with pytest.raises(StorageUnavailable):
            storage.put_bytes(f"{JOB}/a", data)

        requests.fail_next()
        assert storage.read_bytes(before) == b"before"
    assert unfinished(bucket) == []


def test_a_wrong_etag_of_a_part_leaves_neither_object_nor_parts(
    bad_network: tuple[S3Storage, S3Settings, Requests],
) -> None:
    storage, bucket, requests = bad_network
    requests.fail_next("etag", only="PUT")

    with pytest.raises(StorageUnavailable):
        storage.put_bytes(f"{JOB}/a", os.urandom(10 * MIB))

    assert storage.stat(f"{JOB}/a") is None
    assert unfinished(bucket) == []


@pytest.mark.parametrize("fault", ["refuse", "stall", "503", "cut", "lost_answer"])
@pytest.mark.parametrize("size_bytes", [100, 3 * MIB])
def test_a_read_goes_on_where_it_was_broken_off(
    bad_network: tuple[S3Storage, S3Settings, Requests],
    fault: Fault,
    size_bytes: int,
    tmp_path: Path,
) -> None:
    storage, _, requests = bad_network
    data = os.urandom(size_bytes)
    ref = storage.put_bytes(f"{JOB}/a", data)
    requests.fail_next(fault, fault, fault, only="GET")

    storage.fetch(ref, tmp_path / "copy")

    assert requests.done == [f"{fault} GET"] * 3
    assert (tmp_path / "copy").read_bytes() == data


def test_a_damaged_answer_is_never_used(
    bad_network: tuple[S3Storage, S3Settings, Requests], tmp_path: Path
) -> None:
    storage, _, requests = bad_network
    ref = storage.put_bytes(f"{JOB}/a", os.urandom(700_000))
    requests.choose = lambda method, path: "damage" if method == "GET" else None

    with pytest.raises(ObjectDamaged):
        storage.fetch(ref, tmp_path / "copy")
    with pytest.raises(ObjectDamaged):
        storage.read_bytes(ref)
    with storage.open_range(ref, 0, ref.size_bytes) as source:
        given: list[bytes] = []
        with pytest.raises(ObjectDamaged):
            given.extend(iter(lambda: source.read(100_000), b""))
    # so that whoever it was meant for sees it end too early
    assert 0 < sum(map(len, given)) < ref.size_bytes
    assert list(tmp_path.iterdir()) == []


def test_a_read_does_not_go_on_in_another_version(
    bad_network: tuple[S3Storage, S3Settings, Requests],
) -> None:
    storage, bucket, requests = bad_network
    ref = storage.put_bytes(f"{JOB}/a", b"a" * 3 * MIB)
    requests.fail_next("cut", only="GET")
    with storage.open_range(ref, 0, ref.size_bytes) as source:
        source.read(10)
        client().put_object(Bucket=bucket.bucket, Key=ref.key, Body=b"b" * 3 * MIB)

        with pytest.raises(ObjectDamaged):
            source.read()


def test_a_service_that_stays_away_is_given_up_in_the_end(
    bad_network: tuple[S3Storage, S3Settings, Requests], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, _, requests = bad_network
    ref = storage.put_bytes(f"{JOB}/a", b"12345")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    requests.choose = lambda method, path: "503"

    for call in (
        lambda: storage.put_bytes(f"{JOB}/b", b"x"),
        lambda: storage.read_bytes(ref),
        lambda: storage.stat(ref.key),
        lambda: storage.list_objects("jobs"),
        lambda: storage.check(),
    ):
        with pytest.raises(StorageUnavailable) as caught:
            call()
        assert caught.value.retryable


def test_a_stream_that_breaks_after_some_parts_leaves_no_part(
    storage: S3Storage, bucket: S3Settings
) -> None:
    class Breaking(io.RawIOBase):
        left = 30

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            if not self.left:
                raise ConnectionResetError("the client went away")
            return b"x" * MIB

    with pytest.raises(ConnectionResetError):
        storage.put_stream(f"{JOB}/a", cast(BinaryIO, Breaking()))

    assert storage.stat(f"{JOB}/a") is None
    assert unfinished(bucket) == []


def test_a_sweep_ends_our_forgotten_uploads_and_nobody_elses(
    storage: S3Storage, bucket: S3Settings
) -> None:
    ours = (f"{JOB}/a.mp4", "uploads/0123456789abcdef0123456789abcdef/a.mp4")
    theirs = ("uploads/2026/a.mp4", "inbox/a.mp4")
    for key in (*ours, *theirs):
        client().create_multipart_upload(Bucket=bucket.bucket, Key=key)

    assert storage.sweep(older_than_ms=3_600_000) == 0
    assert storage.sweep(older_than_ms=-60_000) == len(ours)

    assert sorted(unfinished(bucket)) == sorted(theirs)


# Other people's objects


@pytest.mark.parametrize(
    "key",
    [
        "Möbius – Vorlesung 3 (final).mp4",
        "a//b/c/d/e/f.mp3",
        "/leading slash.wav",
        ".hidden/x+y&z=%20?#.ogg",
        "会議/録音\n2.m4a",
        "語" * 341,
    ],
)
def test_any_object_of_the_bucket_can_be_read_by_its_key(
    storage: S3Storage, bucket: S3Settings, key: str, tmp_path: Path
) -> None:
    client().put_object(Bucket=bucket.bucket, Key=key, Body=b"sound")

    info = storage.stat(key)

    assert info is not None
    assert (info.key, info.size_bytes, info.ref.sha256) == (key, 5, "")
    storage.fetch(info.ref, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"sound"


@pytest.mark.parametrize(
    "key",
    ["../other/secret", "a/../../other/secret", "./x", "a/..", "..\\other\\secret", "x" * 1025],
)
def test_a_key_that_a_proxy_could_resolve_to_elsewhere_names_nothing(
    storage: S3Storage, key: str
) -> None:
    assert storage.stat(key) is None
    with pytest.raises(ObjectMissing):
        storage.read_bytes(any_version(key))


def test_a_version_that_was_replaced_is_not_read_in_silence(
    storage: S3Storage, bucket: S3Settings
) -> None:
    client().put_object(Bucket=bucket.bucket, Key="talk.mp3", Body=b"first")
    info = storage.stat("talk.mp3")
    assert info is not None
    client().put_object(Bucket=bucket.bucket, Key="talk.mp3", Body=b"other")

    with pytest.raises(ObjectChanged):
        storage.read_bytes(info.ref)


# Links


def test_a_signed_link_saves_the_file_under_its_own_name(storage: S3Storage) -> None:
    name = "Möbius – 講義 “3”.srt"
    label = Label("application/x-subrip; charset=utf-8", name)
    ref = storage.put_bytes(f"{JOB}/lecture.srt", b"1\n", label=label)

    link = storage.link(file(ref, name, label.content_type))

    assert link is not None
    answer = httpx.get(link, headers={"Range": "bytes=0-0"})
    assert (answer.status_code, answer.content) == (206, b"1")
    assert answer.headers["content-type"] == label.content_type
    assert "attachment;" in answer.headers["content-disposition"]
    assert "filename*=UTF-8''M%C3%B6bius" in answer.headers["content-disposition"]


def test_a_signed_link_is_good_for_one_key_one_method_and_some_minutes(bucket: S3Settings) -> None:
    storage = S3Storage(bucket)
    ref = storage.put_bytes(f"{JOB}/a.srt", b"1\n")
    other = storage.put_bytes(f"{JOB}/b.srt", b"2\n")
    link = storage.link(file(ref, "a.srt", "text/plain")) or ""

    assert "X-Amz-Expires=900" in link
    assert httpx.get(link).status_code == 200
    assert httpx.get(link.replace("a.srt?", "b.srt?")).status_code == 403
    assert httpx.get(link.replace("attachment", "inline")).status_code == 403
    assert httpx.put(link, content=b"x").status_code == 403
    assert httpx.delete(link).status_code == 403
    assert storage.read_bytes(other) == b"2\n"


def test_an_object_tells_its_type_and_name_to_those_who_fetch_it_themselves(
    storage: S3Storage, bucket: S3Settings
) -> None:
    label = Label("text/vtt; charset=utf-8", "Übung.vtt")
    for key, data in ((f"{JOB}/small.vtt", b"WEBVTT"), (f"{JOB}/large.vtt", b"x" * 9 * MIB)):
        storage.put_bytes(key, data, label=label)

        found = client().head_object(Bucket=bucket.bucket, Key=key)

        assert found["ContentType"] == "text/vtt; charset=utf-8"
        assert found["ContentDisposition"] == (
            "attachment; filename=\"Ubung.vtt\"; filename*=UTF-8''%C3%9Cbung.vtt"
        )


def test_links_name_the_address_that_clients_use(bucket: S3Settings) -> None:
    ref = ArtifactRef(f"{JOB}/a b.srt", "0" * 64, 2)
    srt = file(ref, "a b.srt", "text/plain")

    def link(**changes: str) -> str | None:
        return S3Storage(fresh_bucket(**changes)).link(srt)

    signed = link(public_endpoint="https://files.example") or ""
    assert signed.startswith("https://files.example/test-")
    assert "X-Amz-Signature=" in signed
    public = link(links="public", public_endpoint="https://files.example") or ""
    assert public.endswith(f"/{JOB}/a%20b.srt")
    assert public.startswith("https://files.example/test-")
    assert link(links="public", public_url="https://cdn.example/reel/") == (
        f"https://cdn.example/reel/{JOB}/a%20b.srt"
    )
    assert link(links="service") is None


@pytest.mark.parametrize(
    ("endpoint", "addressing", "start"),
    [
        ("http://127.0.0.1:9000", "auto", "http://127.0.0.1:9000/reel/"),
        ("https://minio.example", "auto", "https://minio.example/reel/"),
        ("https://minio.example", "virtual", "https://reel.minio.example/"),
        (None, "auto", "https://reel.s3.eu-west-1.amazonaws.com/"),
        (None, "path", "https://s3.eu-west-1.amazonaws.com/reel/"),
        (
            "https://s3.eu-west-1.amazonaws.com",
            "auto",
            "https://reel.s3.eu-west-1.amazonaws.com/",
        ),
    ],
)
def test_a_bucket_is_addressed_by_path_or_by_host(
    endpoint: str | None, addressing: s3_client.Addressing, start: str
) -> None:
    settings = S3Settings(
        "reel", endpoint, "key", "secret", region="eu-west-1", addressing=addressing, links="public"
    )

    link = S3Storage(settings).link(file(ArtifactRef("a.srt", "0" * 64, 1), "a.srt", "text/plain"))

    assert link == f"{start}a.srt"


def test_temporary_keys_send_their_token_and_other_keys_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    srt = file(ArtifactRef("a.srt", "0" * 64, 1), "a.srt", "text/plain")

    def link() -> str:
        settings = S3Settings("reel", "http://127.0.0.1:1", "ours", "secret")
        return S3Storage(settings).link(srt) or ""

    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-an-hour")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-account")
    assert "token-of-an-hour" not in link()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "X-Amz-Security-Token=token-of-an-hour" in link()


# Settings that cannot work


def test_a_storage_says_in_a_sentence_why_it_cannot_work(bucket: S3Settings) -> None:
    about = server()

    def problem(name: str = bucket.bucket, secret: str = about["secret_key"]) -> str:
        settings = S3Settings(name, about["endpoint"], about["access_key"], secret)
        with pytest.raises(StorageMisconfigured) as caught:
            S3Storage(settings).check()
        assert secret not in caught.value.detail
        return str(caught.value)

    assert "S3_BUCKET names does not exist" in problem(name="no-such-bucket")
    assert "check S3_ACCESS_KEY and S3_SECRET_KEY" in problem(secret="a wrong secret")
    with pytest.raises(StorageMisconfigured, match="check S3_ENDPOINT"):
        S3Storage(S3Settings("reel", "not an address", "key", "secret"))


def test_a_check_leaves_nothing_behind(storage: S3Storage, bucket: S3Settings) -> None:
    storage.check(thorough=True)

    assert client().list_objects_v2(Bucket=bucket.bucket)["KeyCount"] == 0


def test_a_service_that_cannot_be_reached_is_no_wrong_setting() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"

        with pytest.raises(StorageUnavailable) as caught:
            S3Storage(S3Settings("reel", endpoint, "key", "secret")).check()

    assert str(caught.value) == "The file storage could not be reached. Try again later."


# Size

_MEASURE = """
import resource, sys
from proofreel.adapters.s3.client import S3Settings
from proofreel.adapters.s3.storage import S3Storage

class Blocks:
    left = 256
    def read(self, size):
        self.left -= 1
        return bytes([self.left % 251]) * 2**20 if self.left >= 0 else b""

def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

storage = S3Storage(S3Settings(*sys.argv[1:]))
storage.read_bytes(storage.put_bytes("uploads/1/small", b"x" * 2**20))
before = peak_kib()
ref = storage.put_stream("uploads/1/large", Blocks())
with storage.open_range(ref, 0, ref.size_bytes) as source:
    while source.read(2**18):
        pass
print(ref.size_bytes // 2**20, (peak_kib() - before) // 1024)
"""


def test_a_large_object_passes_through_in_little_memory(bucket: S3Settings) -> None:
    where = (bucket.bucket, bucket.endpoint, bucket.access_key, bucket.secret_key)

    measured = subprocess.run(
        [sys.executable, "-c", _MEASURE, *map(str, where)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    size_mib, growth_mib = map(int, measured.stdout.split())
    assert size_mib == 256
    assert growth_mib < 100
