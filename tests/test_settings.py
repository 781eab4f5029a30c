from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from proofreel.settings import SettingsError, load_settings

WRONG = {
    "API_KEY": "schlüssel",
    "WEBHOOK_URL": "ftp://example.org/hook",
    "MAX_FILE_SIZE": "25MB",
    "PROOFREEL_PORT": "70000",
    "PROOFREEL_WEB_THREADS": "0",
    "PROOFREEL_MAX_UPLOAD_BYTES": "-1",
    "PROOFREEL_MIN_FREE_BYTES": "-1",
    "PROOFREEL_PUBLIC_URL": "proofreel.example.org",
    "PROOFREEL_RETENTION_DAYS": "-3",
    "PROOFREEL_LOG_FORMAT": "xml",
    "PROOFREEL_DEVICE": "tpu",
    "PROOFREEL_THREADS": "-2",
    "PROOFREEL_BEAM_SIZE": "0",
    "PROOFREEL_BATCH_SIZE": "many",
    "PROOFREEL_WORKER_JOBS": "0",
    "PROOFREEL_MAX_DURATION_S": "0",
    "PROOFREEL_EXTRACT_TIMEOUT_S": "soon",
    "PROOFREEL_SCALE_TIMEOUT_S": "0",
    "PROOFREEL_SILENCE_AT_LEAST_MS": "0",
    "PROOFREEL_SILENCE_BELOW_DBFS": "6",
    "PROOFREEL_WEBHOOK_ALLOW_PRIVATE": "perhaps",
}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PROOFREEL_") or name in WRONG or name in ("FFMPEG_BINARY", "PORT"):
            monkeypatch.delenv(name)


def _set(monkeypatch: pytest.MonkeyPatch, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=list(WRONG))
def test_a_wrong_value_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    _set(monkeypatch, {name: value})
    with pytest.raises(SettingsError) as caught:
        load_settings()
    [problem] = caught.value.problems
    assert problem.startswith(f"{name} ")
    assert problem.endswith(".")
    assert problem in str(caught.value)
    assert caught.value.code == "settings_invalid"


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, WRONG)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert {problem.split()[0] for problem in caught.value.problems} == set(WRONG)


def test_a_wrong_key_is_not_repeated_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {"API_KEY": "geheimer schlüssel"})
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "geheimer" not in str(caught.value)
    assert "geheimer" not in repr(caught.value)


def test_without_any_setting_everything_has_a_value() -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.max_file_size == 25 * 1024 * 1024
    assert settings.data_path == Path("data").absolute()
    assert settings.models_path == Path("data/models").absolute()
    assert settings.database == f"sqlite:///{Path('data').absolute()}/proofreel.sqlite"
    assert settings.api_key is None
    assert settings.webhook_url is None
    assert settings.webhook_allow_private is False


def test_the_variables_of_existing_deployments_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "API_KEY": "abc",
        "WEBHOOK_URL": "https://example.org/hook",
        "MAX_FILE_SIZE": "1000",
        "FFMPEG_BINARY": "/opt/ffmpeg",
    }
    _set(monkeypatch, values)
    settings = load_settings()
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "abc"
    assert settings.webhook_url == "https://example.org/hook"
    assert (settings.max_file_size, settings.ffmpeg_binary) == (1000, "/opt/ffmpeg")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, dict.fromkeys(WRONG, ""))
    assert load_settings() == load_settings(port=8000)
    assert load_settings().max_file_size == 26_214_400


def test_a_value_of_the_command_line_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, {"PROOFREEL_PORT": "9000"})
    assert load_settings().port == 9000
    assert load_settings(port=9001).port == 9001


def test_secrets_are_not_shown_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {"API_KEY": "geheim-1", "PROOFREEL_WEBHOOK_SECRET": "geheim-2"})
    assert "geheim" not in repr(load_settings()) + str(load_settings())


def test_every_secret_of_the_settings_is_known_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "the key, as a whole")
    monkeypatch.setenv("PROOFREEL_WEBHOOK_SECRET", "whsec_b2xk whsec_bmV3")
    monkeypatch.setenv(
        "WEBHOOK_URL", "https://me:hook%20word@hook.example/a-long-secret-path?t=tok"
    )
    monkeypatch.setenv(
        "PROOFREEL_DATABASE_URL", "postgresql://u:db-word@db.example/p?sslpassword=k"
    )
    found = set(load_settings().secrets) - {""}

    assert found == {
        *("the key, as a whole", "whsec_b2xk", "whsec_bmV3", "b2xk", "bmV3"),
        *("hook%20word", "hook word", "/a-long-secret-path", "db-word", "k"),
    }


@pytest.mark.parametrize(
    ("values", "port"),
    [
        ({"PORT": "8080"}, 8080),
        ({"PORT": "8080", "PROOFREEL_PORT": "9000"}, 9000),
        ({"PORT": "8080", "PROOFREEL_PORT": ""}, 8080),
    ],
)
def test_the_port_that_a_platform_assigns_counts_unless_ours_is_set(
    monkeypatch: pytest.MonkeyPatch, values: Mapping[str, str], port: int
) -> None:
    _set(monkeypatch, values)
    assert load_settings().port == port


def test_a_wrong_port_of_a_platform_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {"PORT": "http"})
    with pytest.raises(SettingsError, match=r"cannot be used\. PORT should be a valid integer"):
        load_settings()


def test_what_kubernetes_tells_of_a_service_called_proofreel_is_no_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tcp = "tcp://10.96.0.17:8000"
    _set(monkeypatch, {"PROOFREEL_PORT": tcp, "PROOFREEL_METRICS_PORT": tcp})
    assert (load_settings().port, load_settings().metrics_port) == (8000, None)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://reel:pa/ss#wörd?x@db/reel", "pa/ss#wörd?x"),
        ("postgresql://reel:abc[secret@db/reel", "abc[secret"),
        ("postgresql://reel:p%40ss-word@db/reel", "p@ss-word"),
        ("postgresql://db/reel?user=reel&password=by-parameter", "by-parameter"),
    ],
)
def test_the_password_of_the_database_is_known_as_a_secret(url: str, secret: str) -> None:
    assert secret in load_settings(database_url=url).secrets


def test_what_is_no_secret_of_an_address_stays_readable() -> None:
    url = "postgresql://reel:a-password@db/reel?application_name=proofreel&sslmode=require"

    assert not {"proofreel", "require"} & set(load_settings(database_url=url).secrets)


def test_an_address_that_makes_no_sense_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_URL", "https://[hooks.example/x")

    with pytest.raises(SettingsError, match="WEBHOOK_URL must be an http"):
        load_settings()
