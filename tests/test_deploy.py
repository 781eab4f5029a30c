"""What is shipped for containers fits together: Dockerfile, compose files, .env.example, docs."""

from __future__ import annotations

import http.server
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from pydantic import AliasChoices

from proofreel.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_FILES = ("compose.yaml", "compose.gpu.yaml")
# In .env.example, but read by others than Settings
BY_LIBRARIES = {
    "AWS_CA_BUNDLE",
    "AWS_SESSION_TOKEN",
    "HF_HUB_OFFLINE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
}
BY_COMPOSE = {
    *("EXTRAS", "POSTGRES_IMAGE", "POSTGRES_PASSWORD"),
    *("MINIO_BUCKET", "MINIO_IMAGE", "MINIO_PASSWORD", "MINIO_PORT", "MINIO_USER"),
}
SECRETS = ("API_KEY", "POSTGRES_PASSWORD", "MINIO_PASSWORD")


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _compose(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(_text(name))
    return loaded


def _variables_of_settings() -> set[str]:
    names: set[str] = set()
    for field, about in Settings.model_fields.items():
        alias = about.validation_alias
        if isinstance(alias, AliasChoices):
            names.update(str(choice) for choice in alias.choices)
        else:
            names.add(f"PROOFREEL_{field.upper()}")
    return names


def _example() -> dict[str, str]:
    """Return the variables of .env.example, those behind a # included."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", _text(".env.example"), re.MULTILINE))


def test_the_example_names_every_setting_and_no_other() -> None:
    assert set(_example()) - BY_LIBRARIES - BY_COMPOSE == _variables_of_settings()


def test_the_documentation_names_every_setting_and_no_other() -> None:
    rows = re.findall(r"^\|([^|]*)\|", _text("docs/running.md"), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)}
    assert documented - BY_LIBRARIES == _variables_of_settings()


def test_the_values_behind_a_number_sign_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _variables_of_settings():
        monkeypatch.delenv(name, raising=False)
    defaults = load_settings()
    for field, about in Settings.model_fields.items():
        variable = f"PROOFREEL_{field.upper()}"
        if about.default is None or variable not in _example():
            continue
        monkeypatch.setenv(variable, _example()[variable])
        assert getattr(load_settings(), field) == getattr(defaults, field), variable


def test_no_secret_has_a_value_that_works_by_default() -> None:
    assert all(_example()[name] == "" for name in SECRETS)
    for name in SECRETS:
        uses = re.findall(rf"\$\{{{name}(.*?)\}}", _text("compose.yaml"))
        assert uses
        assert all(use.startswith(":?") for use in uses)


def test_an_environment_is_written_once_with_fresh_secrets_for_its_owner_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "tools").mkdir()
    for name in ("tools/make_env.sh", ".env.example"):
        (tmp_path / name).write_text(_text(name), encoding="utf-8")
    command = ["sh", str(tmp_path / "tools" / "make_env.sh")]
    subprocess.run(command, check=True)
    written = tmp_path / ".env"
    first = written.read_text(encoding="utf-8")
    subprocess.run(command, check=True)

    assert written.read_text(encoding="utf-8") == first
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    values = dict(re.findall(r"^([A-Z][A-Z0-9_]*)=([0-9a-f]{40,64})$", first, re.MULTILINE))
    assert set(values) == set(SECRETS)
    assert len(set(values.values())) == len(SECRETS)
    assert re.sub(r"[0-9a-f]{40,64}", "", first) == _text(".env.example")


@pytest.mark.parametrize("file", COMPOSE_FILES)
def test_compose_refers_only_to_variables_of_the_example(file: str) -> None:
    used = set(re.findall(r"\$\{([A-Z][A-Z0-9_]*)", _text(file)))
    assert used <= set(_example())


def test_compose_sets_only_variables_that_someone_reads() -> None:
    services = _compose("compose.yaml")["services"]
    for name in ("web", "worker"):
        assert set(services[name]["environment"]) <= set(_example())


def test_every_container_is_shut_in() -> None:
    for name, service in _compose("compose.yaml")["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        for port in service.get("ports", []):
            assert port.startswith("${PROOFREEL_HOST:-127.0.0.1}:"), name


def test_a_worker_has_more_time_to_stop_than_it_takes() -> None:
    worker = _compose("compose.yaml")["services"]["worker"]
    assert int(worker["stop_grace_period"].removesuffix("s")) >= 8 + 10


def test_the_gpu_file_changes_services_that_exist() -> None:
    gpu, base = (_compose(name)["services"] for name in reversed(COMPOSE_FILES))
    assert set(gpu) <= set(base)
    assert gpu["worker"]["build"]["target"] in _stages()


def _instructions() -> list[list[str]]:
    """Return the Dockerfile's instructions as words, continued lines joined."""
    text = re.sub(r"^#.*\n", "", _text("Dockerfile"), flags=re.MULTILINE).replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip()]


def _stages() -> list[str]:
    return [words[3] for words in _instructions() if words[0] == "FROM"]


def test_the_last_target_runs_on_a_cpu_as_a_user_without_rights() -> None:
    assert _stages()[-1] == "cpu"
    assert ["USER", "10001:10001"] in _instructions()
    assert ["CMD", '["proofreel",', '"serve"]'] in _instructions()


def test_what_the_image_copies_exists_and_reaches_the_builder() -> None:
    sent = [line[1:] for line in _text(".dockerignore").splitlines() if line.startswith("!")]
    for words in _instructions():
        if words[0] != "COPY":
            continue
        if words[1].startswith("--from="):
            assert words[1].removeprefix("--from=") in _stages()
            continue
        for source in words[1:-1]:
            assert (ROOT / source).exists(), source
            assert source in sent, source


def test_every_package_of_the_image_is_locked_by_its_hash() -> None:
    installs = [" ".join(words) for words in _instructions() if "install" in words]
    for line in (line for line in installs if "pip install" in line):
        assert "--require-hashes" in line or "--no-deps --no-build-isolation ." in line
    assert "--hash=sha256:" in _text("deploy/requirements-cuda.txt")


def test_the_manifests_of_the_documentation_agree_with_the_image() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", _text("docs/deploy.md"), re.DOTALL)
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for manifest in yaml.safe_load_all(block):
        by_kind.setdefault(manifest["kind"], []).append(manifest)
    variables = set(_example())
    for kind, key in (("Secret", "stringData"), ("ConfigMap", "data")):
        assert set(by_kind[kind][0][key]) <= variables
    for deployment in by_kind["Deployment"]:
        pod = deployment["spec"]["template"]["spec"]
        assert (pod["securityContext"]["runAsUser"], pod["enableServiceLinks"]) == (10001, False)
        [container] = pod["containers"]
        assert {entry["name"] for entry in container.get("env", [])} <= variables
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}


@contextmanager
def _answering(status: int) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _health_check(*arguments: str, **variables: str) -> int:
    command = [sys.executable, "-I", "-S", str(ROOT / "deploy" / "healthcheck.py"), *arguments]
    clean = {k: v for k, v in os.environ.items() if k not in ("PORT", "PROOFREEL_PORT")}
    return subprocess.run(command, env={**clean, **variables}, capture_output=True).returncode


@pytest.mark.parametrize(("status", "outcome"), [(200, 0), (503, 1)])
def test_the_health_check_asks_the_service_where_it_listens(status: int, outcome: int) -> None:
    with _answering(status) as port:
        assert _health_check(PORT=str(port)) == outcome
        assert _health_check(PROOFREEL_PORT=str(port), PORT="1") == outcome


def test_the_health_check_of_a_worker_asks_whether_its_port_is_open() -> None:
    with _answering(500) as port:
        assert _health_check(str(port)) == 0
    assert _health_check(str(port)) == 1
