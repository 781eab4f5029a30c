"""One suite over every storage: what the protocol promises, whatever is underneath."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proofreel.adapters.local_storage import LocalStorage
from proofreel.adapters.s3.storage import S3Storage
from proofreel.adapters.storage import (
    InvalidKey,
    ObjectMissing,
    Storage,
    StorageFull,
    StorageUnavailable,
    UploadTooLarge,
    any_version,
    check_key,
    check_prefix,
    is_key,
)
from proofreel.core.model import ArtifactRef
from proofreel.errors import ProofreelError
from tests.s3.bucket import fresh_bucket

STORAGES: dict[str, Callable[[Path], Storage]] = {
    "local": lambda folder: LocalStorage(folder / "objects"),
    "s3": lambda _: S3Storage(fresh_bucket()),
}
BAD_KEYS = (
    "",
    "/",
    "/etc/passwd",
    "a//b",
    "a/",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    ".tmp/a",
    "a/.hidden",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\x85b",
    "a\u2028b",
    "a\ud800b",
    "a/b/c/d/e",
    "x" * 161,
    "é" * 81,
)


@pytest.fixture(params=sorted(STORAGES))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return STORAGES[request.param](tmp_path)


class Blocks(io.RawIOBase):
    """A stream of `count` blocks of 1 MiB that never has them all in memory."""

    def __init__(self, count: int, before_each: Callable[[int], None] = lambda index: None) -> None:
        self.count, self.index, self.before_each = count, 0, before_each
        self.largest_read = 0

    def read(self, size: int = -1) -> bytes:
        self.largest_read = max(self.largest_read, size)
        if self.index == self.count:
            return b""
        self.before_each(self.index)
        self.index += 1
        return bytes([self.index % 256]) * 2**20


def stream_of(blocks: Blocks) -> BinaryIO:
    return cast(BinaryIO, blocks)


def test_bytes_come_back_with_their_hash_and_size(storage: Storage) -> None:
    data = os.urandom(100_000)

    ref = storage.put_bytes("jobs/1/a.srt", data)

    assert ref == ArtifactRef("jobs/1/a.srt", hashlib.sha256(data).hexdigest(), 100_000)
    assert storage.read_bytes(any_version("jobs/1/a.srt")) == data


def test_an_empty_object_is_an_object(storage: Storage) -> None:
    ref = storage.put_bytes("jobs/1/empty", b"")

    info = storage.stat("jobs/1/empty")
    assert ref.sha256 == hashlib.sha256(b"").hexdigest()
    assert info is not None
    assert info.size_bytes == 0
    assert storage.read_bytes(any_version("jobs/1/empty")) == b""


def test_names_of_any_script_are_kept_apart(storage: Storage) -> None:
    keys = [
        "uploads/1/会議 録音.mp4",
        "uploads/1/Übung.mp4",
        "uploads/1/x.mp4",
        "uploads/1/X y&.mp4",
    ]
    for key in keys:
        storage.put_bytes(key, key.encode())

    assert [storage.read_bytes(any_version(key)).decode() for key in keys] == keys


def test_a_file_is_stored_and_fetched_and_the_original_stays(
    storage: Storage, tmp_path: Path
) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(b"recording")

    ref = storage.put_file("uploads/1/source.bin", source)
    source.write_bytes(b"changed")
    storage.fetch(ref, tmp_path / "work.bin")

    assert (tmp_path / "work.bin").read_bytes() == b"recording"


def test_putting_a_file_that_is_not_there_is_heard(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.put_file("uploads/1/a", tmp_path / "nothing")
    assert storage.stat("uploads/1/a") is None


def test_fetch_again_replaces_what_the_last_try_left(storage: Storage, tmp_path: Path) -> None:
    storage.put_bytes("uploads/1/a", b"first")
    target = tmp_path / "work.bin"
    storage.fetch(any_version("uploads/1/a"), target)
    storage.fetch(any_version("uploads/1/a"), target)
    storage.put_bytes("uploads/1/a", b"second")
    assert target.read_bytes() == b"first"

    storage.fetch(any_version("uploads/1/a"), target)

    assert target.read_bytes() == b"second"
    assert [path.name for path in tmp_path.glob("work*")] == ["work.bin"]


def test_a_fetched_file_outlives_the_object(storage: Storage, tmp_path: Path) -> None:
    storage.put_bytes("uploads/1/a", b"bytes")
    storage.fetch(any_version("uploads/1/a"), tmp_path / "copy")

    storage.delete("uploads/1/a")

    assert (tmp_path / "copy").read_bytes() == b"bytes"


def test_a_write_replaces_the_object(storage: Storage) -> None:
    storage.put_bytes("jobs/1/a", b"a long first version")
    storage.put_bytes("jobs/1/a", b"short")

    assert storage.read_bytes(any_version("jobs/1/a")) == b"short"


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 10, b"0123456789"),
        (3, 4, b"3456"),
        (8, 100, b"89"),
        (10, 5, b""),
        (50, 5, b""),
        (4, 0, b""),
    ],
)
def test_a_range_holds_these_bytes_and_no_more(
    storage: Storage, start: int, length: int, expected: bytes
) -> None:
    storage.put_bytes("jobs/1/a", b"0123456789")

    with storage.open_range(any_version("jobs/1/a"), start, length) as reader:
        assert reader.read() == expected
        assert reader.read(1) == b""


def test_a_range_can_be_read_in_pieces_across_buffers(storage: Storage) -> None:
    data = os.urandom(300_000)
    storage.put_bytes("jobs/1/a", data)

    with storage.open_range(any_version("jobs/1/a"), 1_000, 250_000) as reader:
        pieces = iter(lambda: reader.read(7_777), b"")
        assert b"".join(pieces) == data[1_000:251_000]


def test_a_range_that_starts_before_the_object_is_refused(storage: Storage) -> None:
    storage.put_bytes("jobs/1/a", b"0123456789")

    for start, length in ((-1, 5), (0, -1)):
        with pytest.raises(ValueError, match="a range cannot"):
            storage.open_range(any_version("jobs/1/a"), start, length)


def test_an_open_reader_sees_its_own_version_through_a_write_and_a_delete(storage: Storage) -> None:
    first = os.urandom(500_000)
    storage.put_bytes("jobs/1/a", first)
    with storage.open_range(any_version("jobs/1/a"), 0, 500_000) as reader:
        beginning = reader.read(10)
        storage.put_bytes("jobs/1/a", b"x" * 500_000)
        storage.delete("jobs/1/a")

        assert beginning + reader.read() == first


def test_stat_tells_size_and_time(storage: Storage) -> None:
    before_ms = time.time_ns() // 1_000_000
    storage.put_bytes("jobs/1/a", b"12345")

    info = storage.stat("jobs/1/a")

    assert info is not None
    assert (info.key, info.size_bytes) == ("jobs/1/a", 5)
    # S3 gives whole seconds and has a clock of its own.
    assert abs(info.modified_at_ms - before_ms) < 60_000


def test_what_is_not_there_is_missing_everywhere(storage: Storage, tmp_path: Path) -> None:
    storage.put_bytes("jobs/1/a", b"x")
    for key in ("jobs/1/b", "jobs/2/a", "jobs/1", "jobs", "jobs/1/a/b", *BAD_KEYS):
        assert storage.stat(key) is None, key
        for read in (
            lambda key: storage.read_bytes(any_version(key)),
            lambda key: storage.open_range(any_version(key), 0, 1),
            lambda key: storage.fetch(any_version(key), tmp_path / "out"),
        ):
            with pytest.raises(ObjectMissing):
                read(key)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_bad_key_is_refused_by_every_write(storage: Storage, key: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    for write in (
        lambda: storage.put_bytes(key, b"x"),
        lambda: storage.put_file(key, source),
        lambda: storage.put_stream(key, io.BytesIO(b"x")),
        lambda: storage.delete(key),
    ):
        with pytest.raises(InvalidKey):
            write()


@pytest.mark.parametrize("prefix", ["", "/", "..", "jobs//", "jobs/../uploads", ".tmp", "/jobs"])
def test_a_bad_prefix_deletes_nothing(storage: Storage, prefix: str) -> None:
    storage.put_bytes("jobs/1/a", b"x")
    with pytest.raises(InvalidKey):
        storage.delete_prefix(prefix)
    assert storage.stat("jobs/1/a") is not None


def test_delete_takes_one_object_and_may_be_repeated(storage: Storage) -> None:
    storage.put_bytes("jobs/1/a", b"x")
    storage.put_bytes("jobs/1/ab", b"y")

    for _ in range(2):
        storage.delete("jobs/1/a")

    assert storage.stat("jobs/1/a") is None
    assert storage.read_bytes(any_version("jobs/1/ab")) == b"y"


@pytest.mark.parametrize("prefix", ["jobs/1", "jobs/1/"])
def test_delete_prefix_takes_all_below_and_no_neighbour(storage: Storage, prefix: str) -> None:
    doomed = ["jobs/1/a", "jobs/1/b", "jobs/1/deep/c"]
    kept = ["jobs/10/a", "jobs/1-b", "uploads/1/a"]
    for key in (*doomed, *kept):
        storage.put_bytes(key, b"x")

    for _ in range(2):
        storage.delete_prefix(prefix)

    assert [key for key in doomed if storage.stat(key)] == []
    assert [key for key in kept if storage.stat(key)] == kept


def test_delete_prefix_leaves_an_object_of_exactly_that_name(storage: Storage) -> None:
    storage.put_bytes("jobs/1", b"x")
    storage.delete_prefix("jobs/1")
    assert storage.read_bytes(any_version("jobs/1")) == b"x"


def test_a_key_can_be_used_again_after_a_delete(storage: Storage) -> None:
    storage.put_bytes("jobs/1/a", b"x")
    storage.delete_prefix("jobs/1")
    storage.put_bytes("jobs/1/a", b"y")
    assert storage.read_bytes(any_version("jobs/1/a")) == b"y"


def test_a_stream_as_long_as_the_limit_is_taken(storage: Storage) -> None:
    ref = storage.put_stream("uploads/1/a", io.BytesIO(b"12345"), max_bytes=5)
    assert ref.size_bytes == 5


def test_a_stream_over_the_limit_leaves_the_key_as_it_was(storage: Storage) -> None:
    storage.put_bytes("uploads/1/a", b"before")
    blocks = Blocks(100)

    with pytest.raises(UploadTooLarge) as caught:
        storage.put_stream("uploads/1/a", stream_of(blocks), max_bytes=3 * 2**20)
    with pytest.raises(UploadTooLarge):
        storage.put_stream("uploads/1/new", io.BytesIO(b"123456"), max_bytes=5)

    assert (caught.value.code, caught.value.limit_bytes) == ("file_too_large", 3 * 2**20)
    assert str(caught.value) == "The file is larger than the 3 MB accepted here."
    assert blocks.index == 4  # no further than needed to know
    assert storage.read_bytes(any_version("uploads/1/a")) == b"before"
    assert storage.stat("uploads/1/new") is None
    assert storage.sweep(older_than_ms=0) == 0


def test_a_stream_that_breaks_leaves_the_key_as_it_was(storage: Storage) -> None:
    storage.put_bytes("uploads/1/a", b"before")

    def hang_up(index: int) -> None:
        if index == 2:
            raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        storage.put_stream("uploads/1/a", stream_of(Blocks(5, hang_up)))

    assert storage.read_bytes(any_version("uploads/1/a")) == b"before"
    assert storage.sweep(older_than_ms=0) == 0


def test_a_long_stream_is_read_in_pieces_and_unseen_until_it_is_whole(storage: Storage) -> None:
    seen: list[object] = []
    blocks = Blocks(24, before_each=lambda index: seen.append(storage.stat("uploads/1/a")))

    ref = storage.put_stream("uploads/1/a", stream_of(blocks))

    expected = hashlib.sha256()
    for index in range(1, 25):
        expected.update(bytes([index]) * 2**20)
    assert (ref.sha256, ref.size_bytes) == (expected.hexdigest(), 24 * 2**20)
    assert seen == [None] * 24
    assert 0 < blocks.largest_read <= 16 * 2**20
    with storage.open_range(any_version("uploads/1/a"), 23 * 2**20, 2**20) as reader:
        assert reader.read() == bytes([24]) * 2**20


def test_of_many_writers_of_one_key_one_wins_whole(storage: Storage) -> None:
    versions = [bytes([letter]) * 400_000 for letter in b"abcd"]
    storage.put_bytes("jobs/1/a", versions[0])
    torn: list[int] = []
    done = threading.Event()

    def write(version: bytes) -> None:
        for _ in range(5):
            storage.put_bytes("jobs/1/a", version)

    def read() -> None:
        while not done.is_set():
            data = storage.read_bytes(any_version("jobs/1/a"))
            if data not in versions:
                torn.append(len(data))

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(version,)) for version in versions]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()

    assert torn == []
    assert storage.read_bytes(any_version("jobs/1/a")) in versions


def test_writes_survive_deletes_of_neighbours_at_the_same_time(storage: Storage) -> None:
    """Deleting the last object of a folder must not pull it from under a write."""
    failures: list[BaseException] = []
    done = threading.Event()

    def churn() -> None:
        try:
            while not done.is_set():
                storage.put_bytes("jobs/1/passing", b"x")
                storage.delete("jobs/1/passing")
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    for index in range(30):
        storage.put_bytes("jobs/1/a", b"%d" % index)
        assert storage.read_bytes(any_version("jobs/1/a")) == b"%d" % index
        storage.delete("jobs/1/a")
    done.set()
    for thread in threads:
        thread.join()

    assert failures == []


def test_a_storage_in_order_says_so(storage: Storage) -> None:
    storage.check()
    free = storage.free_bytes()
    assert free is None or free > 0
    assert storage.sweep(older_than_ms=0) == 0


@given(
    st.text(max_size=200) | st.lists(st.sampled_from(["..", ".", "", "a", "/", "~"])).map("/".join)
)
@example("CON")
@example("a" * 4096)
@example("\u202egpj.exe")
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_name_reaches_outside_the_root(tmp_path: Path, name: str) -> None:
    storage = LocalStorage(tmp_path / "deep" / "root")
    key = f"uploads/{name}"
    try:
        storage.put_bytes(key, b"x")
    except InvalidKey:
        assert not is_key(key)
        assert storage.stat(key) is None
    else:
        assert storage.read_bytes(any_version(key)) == b"x"
        storage.delete(key)
    assert set(os.listdir(tmp_path)) <= {"deep"}
    assert os.listdir(tmp_path / "deep") in (["root"], [])


def test_keys_keep_their_parts() -> None:
    assert check_key("uploads/u1/会議.mp4") == ("uploads", "u1", "会議.mp4")
    assert check_key("x" * 160) == ("x" * 160,)
    assert check_prefix("jobs/1/") == ("jobs", "1")
    assert is_key("a/b/c/d")
    assert not is_key("a/b/c/d/e")


@pytest.mark.parametrize(
    "error",
    [
        InvalidKey("../x"),
        ObjectMissing("jobs/1/a"),
        UploadTooLarge(26_214_400),
        StorageFull(),
        StorageUnavailable("store a file", "[Errno 30] Read-only file system: '/srv/data'"),
    ],
)
def test_errors_survive_pickling_and_show_no_path(error: ProofreelError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes

    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert (str(again), again.detail) == (str(error), error.detail)
    assert "/" not in str(error)
    assert str(error).endswith(".")


def test_a_listing_names_every_object_under_the_prefix_and_no_other(storage: Storage) -> None:
    storage.put_bytes("uploads/a/one.mp3", b"1")
    storage.put_bytes("uploads/b/two.mp3", b"22")
    storage.put_bytes("uploadsx/c/three.mp3", b"333")

    found = storage.list_objects("uploads")

    assert [(info.key, info.size_bytes) for info in found] == [
        ("uploads/a/one.mp3", 1),
        ("uploads/b/two.mp3", 2),
    ]
    assert storage.list_objects("nothing") == ()
