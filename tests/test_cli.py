from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from proofreel.core.names import ARTIFACTS
from tests.media_samples import make
from tests.model_fixtures import model_store, models_root
from tests.ports import free_port
from tests.postgres_server import PASSWORD, postgres_server
from tests.speech_samples import speak, write_wav
from tests.workflows.recordings import SENTENCE
from tests.workflows.service import API_KEY, environment, run_cli

WRITTEN = {
    kind: known
    for kind, known in ARTIFACTS.items()
    if kind not in ("scaled_video", "scaled_audio", "preview_audio", "manifest")
}
_NEEDS_SETTINGS = {
    "serve": ("serve",),
    "worker": ("worker",),
    "web": ("web",),
    "transcribe": ("transcribe", "no-such-file.wav"),
    "doctor": ("doctor",),
    "models list": ("models", "list"),
}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model_store("tiny.en")
    return write_wav(tmp_path_factory.mktemp("cli") / "garden.wav", speak(SENTENCE))


def test_transcribe_writes_every_file_and_goes_on_after_one_that_fails(
    tmp_path: Path, speech: Path
) -> None:
    text = tmp_path / "song.mp3"
    text.write_text("no sound in here\n" * 100)
    out = tmp_path / "out"
    ended = run_cli(environment(tmp_path), "transcribe", str(text), str(speech), "--out", str(out))
    assert ended.returncode == 1
    names = {"garden" + known.suffix for known in WRITTEN.values()} | {"garden_manifest.json"}
    assert {path.name for path in out.iterdir()} == names
    assert all((out / name).stat().st_size for name in names)
    assert "children play in the garden" in (out / "garden_plain.txt").read_text()
    assert ended.stdout.startswith("garden.wav: ")
    assert ended.stderr == (
        "song.mp3: failed (media_unreadable). " + ended.stderr.partition(". ")[2]
    )
    assert len(ended.stderr.splitlines()) == 1
    for stream in (ended.stdout, ended.stderr):
        assert "\x1b" not in stream
        assert "\r" not in stream
        assert "Traceback" not in stream
    assert not (tmp_path / "data").exists(), "the command line needs no state"
    assert list((tmp_path / "tmp").glob("proofreel-*")) == [], "nor does it leave any"


def test_transcribe_prints_one_json_line_a_file(tmp_path: Path, speech: Path) -> None:
    video = make(tmp_path / "garden.mp3", "-i", str(speech))
    out = tmp_path / "out"
    missing = tmp_path / "missing.wav"
    ended = run_cli(
        environment(tmp_path),
        *("transcribe", str(speech), str(video), str(missing), "--out", str(out), "--json"),
    )
    assert ended.returncode == 1
    assert ended.stderr == ""
    first, second, third = (json.loads(line) for line in ended.stdout.splitlines())
    for line, source in ((first, speech), (second, video)):
        assert (line["file"], line["status"], line["language"]) == (str(source), "completed", "en")
        assert line["duration"] == pytest.approx(speak(SENTENCE).size / 16_000, abs=0.1)
        assert all(Path(path).is_file() for path in line["files"])
    assert not set(first["files"]) & set(second["files"]), "one stem, two folders"
    assert (third["status"], third["code"]) == ("failed", "file_unreadable")


def test_transcribe_with_success_only_ends_with_0(tmp_path: Path, speech: Path) -> None:
    ended = run_cli(environment(tmp_path), "transcribe", str(speech), "--out", str(tmp_path / "o"))
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("command", _NEEDS_SETTINGS.values(), ids=list(_NEEDS_SETTINGS))
def test_a_wrong_setting_stops_every_command_by_its_name(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    ended = run_cli(environment(tmp_path, PROOFREEL_BEAM_SIZE="many"), *command)
    assert ended.returncode == 2
    assert "PROOFREEL_BEAM_SIZE" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [
        ("serve", "PROOFREEL_DATABASE_URL", "mysql://localhost/x"),
        ("worker", "PROOFREEL_DATABASE_URL", "nonsense"),
        ("web", "PROOFREEL_DATABASE_URL", "nonsense"),
        ("serve", "PROOFREEL_WEBHOOK_SECRET", "whsec_%%%"),
        ("worker", "PROOFREEL_WEBHOOK_SECRET", "whsec_%%%"),
        ("serve", "FFMPEG_BINARY", "/no/such/ffmpeg"),
        ("worker", "FFMPEG_BINARY", "/no/such/ffmpeg"),
        ("serve", "PROOFREEL_DATA_DIR", "/dev/null/data"),
        ("worker", "PROOFREEL_DATA_DIR", "/dev/null/data"),
        ("web", "PROOFREEL_DATA_DIR", "/dev/null/data"),
    ],
)
def test_what_only_the_start_finds_out_is_one_sentence_too(
    tmp_path: Path, command: str, variable: str, value: str
) -> None:
    ended = run_cli(environment(tmp_path, **{variable: value}), command, timeout_s=40)
    assert ended.returncode == 2, ended.stderr
    assert variable in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["serve", "web", "worker"])
@pytest.mark.parametrize(
    ("credentials", "database", "status", "told"),
    [
        (f"postgres:wrong-{PASSWORD}", "postgres", 2, "PROOFREEL_DATABASE_URL"),
        (f"postgres:{PASSWORD}", "missing", 2, "PROOFREEL_DATABASE_URL"),
        (f"postgres:{PASSWORD}", None, 1, "cannot be reached: the connection was refused."),
    ],
    ids=["password", "database", "server"],
)
def test_a_database_that_cannot_be_used_is_one_sentence_without_the_password(
    tmp_path: Path, command: str, credentials: str, database: str | None, status: int, told: str
) -> None:
    port = postgres_server().port if database else free_port()
    url = f"postgresql://{credentials}@127.0.0.1:{port}/{database or 'any'}"

    ended = run_cli(environment(tmp_path, PROOFREEL_DATABASE_URL=url), command, timeout_s=40)

    assert ended.returncode == status, ended.stderr
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert PASSWORD not in ended.stderr


@pytest.mark.parametrize(
    "options",
    [("--language", "xx"), ("--model", "huge"), ("--task", "translate"), ("--language", "de")],
)
def test_options_that_cannot_work_are_refused_before_any_work(
    tmp_path: Path, speech: Path, options: tuple[str, str]
) -> None:
    out = tmp_path / "out"
    ended = run_cli(environment(tmp_path), "transcribe", str(speech), "--out", str(out), *options)
    assert ended.returncode == 2
    assert ended.stderr.startswith("proofreel: ")
    assert "Traceback" not in ended.stderr
    assert not out.exists()


def test_doctor_finds_a_well_machine_well_and_keeps_the_key_to_itself(tmp_path: Path) -> None:
    model_store("tiny.en")
    ended = run_cli(environment(tmp_path), "doctor")
    assert ended.returncode == 0, ended.stdout
    lines = ended.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", name] for name in ("ffmpeg", "device", "model", "database", "storage", "key")
    ]
    assert API_KEY not in ended.stdout + ended.stderr
    assert API_KEY in run_cli(environment(tmp_path), "doctor", "--show-key").stdout


def test_doctor_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    env = environment(
        tmp_path, PROOFREEL_MODELS_DIR=str(tmp_path / "none"), FFMPEG_BINARY="/no/such/ffmpeg"
    )
    ended = run_cli(env, "doctor")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    missing = [line.split()[1] for line in ended.stdout.splitlines() if line.startswith("MISSING")]
    assert missing == ["ffmpeg", "model"]
    assert "proofreel models pull tiny.en" in ended.stdout
    assert "FFMPEG_BINARY" in ended.stdout


def test_models_are_listed_and_verified(tmp_path: Path) -> None:
    model_store("tiny.en")
    models = tmp_path / "models"
    shutil.copytree(models_root() / "tiny.en", models / "tiny.en")
    env = environment(tmp_path, PROOFREEL_MODELS_DIR=str(models))
    listed = run_cli(env, "models", "list")
    assert listed.returncode == 0
    states = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert "ready" in states["tiny.en"]
    assert "not here" in states["base"]
    assert "large-v3" in states

    assert run_cli(env, "models", "verify", "tiny.en").returncode == 0
    with (models / "tiny.en" / "model.bin").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"damage")
    damaged = run_cli(env, "models", "verify", "tiny.en")
    assert damaged.returncode == 2
    assert "model.bin" in damaged.stderr
    absent = run_cli(env, "models", "verify", "base")
    assert absent.returncode == 2
    assert "proofreel models pull base" in absent.stderr
    unknown = run_cli(env, "models", "verify", "huge")
    assert unknown.returncode == 2
    assert "tiny.en" in unknown.stderr


def test_serve_makes_a_key_once_and_says_where_it_is(tmp_path: Path) -> None:
    env = environment(tmp_path, API_KEY="")
    first = run_cli(env, "doctor", "--show-key").stdout.splitlines()[-1].split()[-1]
    second = run_cli(env, "doctor", "--show-key").stdout.splitlines()[-1].split()[-1]
    kept = tmp_path / "data" / "api_key"
    assert first == second == kept.read_text().strip()
    assert len(first) >= 20
    assert kept.stat().st_mode & 0o077 == 0
