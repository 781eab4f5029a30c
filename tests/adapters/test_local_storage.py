"""What holds for a folder beyond the common suite: links, leftovers, kills, full disks."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from proofreel.adapters.local_storage import LocalStorage
from proofreel.adapters.storage import (
    InvalidKey,
    ObjectMissing,
    StorageFull,
    StorageUnavailable,
    any_version,
)

# A writer that stores the first half of an object, says so, and waits for ever.
HALF_A_WRITE = """
import sys, time
from pathlib import Path
from proofreel.adapters.local_storage import LocalStorage

class Half:
    sent = False
    def read(self, size):
        if self.sent:
            print("half", flush=True)
            time.sleep(600)
        self.sent = True
        return b"new" * 100_000

LocalStorage(Path(sys.argv[1])).put_stream("jobs/1/a", Half())
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    return LocalStorage(root)


def files_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def make_old(path: Path, age_s: float) -> None:
    then = time.time() - age_s
    os.utime(path, (then, then))


def test_kill_9_in_the_middle_of_a_write_leaves_the_old_object(
    storage: LocalStorage, root: Path
) -> None:
    storage.put_bytes("jobs/1/a", b"old")
    writer = subprocess.Popen(
        [sys.executable, "-c", HALF_A_WRITE, str(root)], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    with writer.stdout:
        assert writer.stdout.readline() == b"half\n"
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL

    assert storage.read_bytes(any_version("jobs/1/a")) == b"old"
    (leftover,) = files_under(root) - {"jobs/1/a"}
    assert leftover.startswith(".tmp/")
    assert storage.stat(leftover) is None
    assert storage.sweep() == 0  # younger than a day: its writer might be alive
    make_old(root / leftover, age_s=25 * 3600)
    assert storage.sweep() == 1
    assert files_under(root) == {"jobs/1/a"}


def test_sweep_spares_a_write_in_progress_and_takes_what_a_killed_delete_left(
    storage: LocalStorage, root: Path
) -> None:
    storage.put_bytes("jobs/1/a", b"x")
    (root / ".tmp" / "dead" / "deep").mkdir(parents=True)
    (root / ".tmp" / "dead" / "deep" / "file").write_bytes(b"x")
    (root / ".tmp" / "young").write_bytes(b"x")
    (root / ".tmp" / "old").write_bytes(b"x")
    make_old(root / ".tmp" / "old", age_s=11)

    assert storage.sweep(older_than_ms=10_000) == 2

    assert files_under(root) == {"jobs/1/a", ".tmp/young"}


def test_sweep_of_a_storage_never_used_does_nothing(storage: LocalStorage, root: Path) -> None:
    assert storage.sweep() == 0
    assert not root.exists()


def test_links_out_of_the_root_are_neither_read_nor_written_nor_deleted(
    storage: LocalStorage, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    storage.put_bytes("jobs/1/a", b"x")
    (root / "jobs" / "evil").symlink_to(outside)
    (root / "jobs" / "1" / "link").symlink_to(outside / "secret")

    for key in ("jobs/evil/secret", "jobs/1/link"):
        assert storage.stat(key) is None
        for read in (
            storage.read_bytes,
            lambda ref: storage.fetch(ref, tmp_path / "out"),
        ):
            with pytest.raises(ObjectMissing):
                read(any_version(key))
    with pytest.raises(InvalidKey):
        storage.put_bytes("jobs/evil/planted", b"x")
    storage.delete("jobs/evil/secret")
    storage.delete_prefix("jobs/evil")
    storage.put_bytes("jobs/1/link", b"mine")  # replaces the link, not what it points to
    storage.delete_prefix("jobs")

    assert files_under(outside) == {"secret"}
    assert (outside / "secret").read_bytes() == b"secret"
    assert not (tmp_path / "out").exists()


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")

    LocalStorage(tmp_path / "data").put_bytes("jobs/1/a", b"x")

    assert files_under(tmp_path / "disk") == {"jobs/1/a"}


def test_a_pipe_in_the_folder_does_not_hang_a_reader(storage: LocalStorage, root: Path) -> None:
    storage.put_bytes("jobs/1/a", b"x")
    os.mkfifo(root / "jobs" / "1" / "pipe")

    assert storage.stat("jobs/1/pipe") is None


def test_an_object_cannot_be_a_folder_too(storage: LocalStorage) -> None:
    storage.put_bytes("jobs/1/a", b"x")

    for key in ("jobs/1", "jobs/1/a/b"):
        with pytest.raises(InvalidKey):
            storage.put_bytes(key, b"y")

    assert storage.read_bytes(any_version("jobs/1/a")) == b"x"
    assert storage.sweep(older_than_ms=0) == 0


def test_deleting_leaves_no_empty_folders(storage: LocalStorage, root: Path) -> None:
    for key in ("jobs/1/a", "jobs/2/a", "uploads/1/a"):
        storage.put_bytes(key, b"x")

    storage.delete("jobs/1/a")
    assert sorted(os.listdir(root / "jobs")) == ["2"]
    storage.delete_prefix("jobs/2")
    storage.delete("uploads/1/a")

    assert os.listdir(root) == [".tmp"]
    assert os.listdir(root / ".tmp") == []


def test_objects_are_for_their_owner_and_nobody_writes_into_them(
    storage: LocalStorage, root: Path, tmp_path: Path
) -> None:
    storage.put_bytes("jobs/1/a", b"x")
    storage.fetch(any_version("jobs/1/a"), tmp_path / "copy")

    assert (root / "jobs" / "1" / "a").stat().st_mode & 0o777 == 0o400
    assert (root / "jobs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "copy").stat().st_mode & 0o222 == 0


def test_fetching_on_the_same_disk_copies_nothing(
    storage: LocalStorage, root: Path, tmp_path: Path
) -> None:
    storage.put_bytes("jobs/1/a", b"x")
    storage.fetch(any_version("jobs/1/a"), tmp_path / "copy")
    assert (tmp_path / "copy").samefile(root / "jobs" / "1" / "a")


def test_fetching_to_another_disk_copies(storage: LocalStorage) -> None:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("this machine has no second file system to write to")
    storage.put_bytes("jobs/1/a", b"bytes")
    target = Path("/dev/shm") / f"proofreel-test-{os.getpid()}"
    try:
        for _ in range(2):
            storage.fetch(any_version("jobs/1/a"), target)
            assert target.read_bytes() == b"bytes"
    finally:
        target.unlink(missing_ok=True)


def test_a_full_disk_is_told_and_leaves_nothing_behind(
    storage: LocalStorage, root: Path, tmp_path: Path
) -> None:
    """The limit on a file's size stands in for the disk's: the system refuses the bytes as well."""
    storage.put_bytes("jobs/1/a", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(StorageFull) as caught:
            storage.put_stream("jobs/1/a", io.BytesIO(b"x" * 200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)

    assert caught.value.code == "storage_full"
    assert caught.value.retryable
    assert files_under(root) == {"jobs/1/a"}
    assert storage.read_bytes(any_version("jobs/1/a")) == b"old"


def test_a_root_that_cannot_be_a_folder_is_unavailable_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    storage = LocalStorage(tmp_path / "file" / "objects")

    with pytest.raises(StorageUnavailable) as caught:
        storage.check()

    assert str(caught.value) == "The file storage could not store a file. Try again later."
    assert "Not a directory" in caught.value.detail
    assert storage.stat("jobs/1/a") is None
    assert (storage.free_bytes() or 0) > 0


def test_a_prefix_vanishes_while_a_writer_keeps_writing(storage: LocalStorage) -> None:
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for index in range(100):
                storage.put_bytes(f"jobs/1/{index % 7}", b"x")
        except BaseException as exc:
            failures.append(exc)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        storage.delete_prefix("jobs/1")
    writer.join()
    storage.delete_prefix("jobs/1")

    assert failures == []
    assert [index for index in range(7) if storage.stat(f"jobs/1/{index}")] == []


def test_no_descriptor_is_left_open(storage: LocalStorage, tmp_path: Path) -> None:
    def use() -> None:
        storage.put_bytes("jobs/1/a", b"x")
        storage.fetch(any_version("jobs/1/a"), tmp_path / "copy")
        with storage.open_range(any_version("jobs/1/a"), 0, 1) as reader:
            reader.read()
        with pytest.raises(ObjectMissing):
            storage.read_bytes(any_version("jobs/1/b"))
        storage.delete("jobs/1/a")
        storage.delete_prefix("jobs/1")
        storage.sweep()

    use()
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        use()
    assert len(os.listdir("/dev/fd")) <= before
