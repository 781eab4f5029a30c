from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from proofreel.adapters.secrets_file import SecretFileUnusable, ensure_secret, make_api_key

ASK = """
import sys
from pathlib import Path
from proofreel.adapters.secrets_file import ensure_secret, make_api_key

print("ready", flush=True)
sys.stdin.readline()
secret, created = ensure_secret(Path(sys.argv[1]), make_api_key)
print(secret, created)
"""


def never() -> str:
    raise AssertionError("there is a secret already")


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "data" / "api_key"

    first = ensure_secret(path, lambda: "pr_first")
    second = ensure_secret(path, never)

    assert (first, second) == (("pr_first", True), ("pr_first", False))
    assert path.read_text() == "pr_first\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_processes_that_start_at_once_get_the_same_secret(tmp_path: Path) -> None:
    path = tmp_path / "api_key"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    answers = [child.communicate("go\n")[0].split() for child in children]

    assert len({secret for secret, _ in answers}) == 1
    assert sorted(created for _, created in answers) == ["False", "False", "True"]


@pytest.mark.parametrize("left", [b"", b"\n", b"\0" * 46])
def test_threads_heal_what_a_crash_left_with_one_secret(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "api_key"
    path.write_bytes(left)
    answers: list[tuple[str, bool]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ensure_secret(path, make_api_key)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({secret for secret, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    assert path.read_text() == f"{answers[0][0]}\n"


def test_a_file_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "api_key"
    path.write_text("chosen-by-hand")
    path.chmod(0o644)

    assert ensure_secret(path, never) == ("chosen-by-hand", False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "chosen-by-hand"


def test_what_is_no_secret_is_refused_and_left_alone(tmp_path: Path) -> None:
    files = {"words": b"two words", "accents": "schlüssel".encode(), "long": b"x" * 5000}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SecretFileUnusable, match=f"The file {name} in the data folder"):
            ensure_secret(tmp_path / name, never)
        assert (tmp_path / name).read_bytes() == data


def test_a_folder_or_a_pipe_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "folder", tmp_path / "pipe", tmp_path / "file" / "api_key"):
        with pytest.raises(SecretFileUnusable):
            ensure_secret(path, never)


def test_keys_are_long_and_never_the_same() -> None:
    keys = {make_api_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("pr_") and len(key) == 46 for key in keys)


def test_the_error_survives_pickling() -> None:
    error = SecretFileUnusable("api_key", "cannot be read or written", "[Errno 13] /srv/api_key")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert (str(again), again.detail) == (str(error), error.detail)
    assert str(error) == "The file api_key in the data folder cannot be read or written."
