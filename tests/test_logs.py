"""The log as a program reads it and as an operator does: all of it JSON, the cause, no secret."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from proofreel.adapters.s3.client import S3Settings
from tests.model_fixtures import model_store, models_root
from tests.s3.bucket import environment_of, fresh_bucket
from tests.speech_samples import speak, write_wav
from tests.workflows.recordings import SENTENCE
from tests.workflows.service import Service, environment, eventually, run_cli, running

# Lines of every kind that a process of ours may write, by ours and by libraries.
SAY_ALL = """
import logging, sys, threading, warnings
from proofreel.logs import configure_logging
configure_logging("json", secrets=("canary-of-ours",))
import structlog, dbos, sqlalchemy, boto3, gunicorn.glogging, gunicorn.config
from dbos._logger import init_logger
from proofreel.wsgi import _Log
init_logger()
_Log(gunicorn.config.Config()).warning("a worker took %s s", 3)
log = structlog.get_logger("proofreel.tests")
with structlog.contextvars.bound_contextvars(job_id="j1", attempt=2, stage="probe"):
    log.info("ours", number=1, path=__import__("pathlib").Path("/x"), key="canary-of-ours")
    logging.getLogger("dbos").warning("queue %s is slow", "pipeline")
    logging.getLogger("sqlalchemy.pool").error("pool: %s", "postgresql://u:canary-of-ours@db/x")
    logging.getLogger("botocore.retry").warning("https://b/k?X-Amz-Signature=canary-of-nobody")
    logging.getLogger("httpx").info("not told: canary-of-ours")
    warnings.warn("old\\nway", DeprecationWarning, stacklevel=1)
    try:
        {}["canary-of-ours"]
    except KeyError:
        log.exception("caught")
        logging.getLogger("dbos").exception("caught there")
thread = threading.Thread(target=lambda: [][1])
thread.start()
thread.join()
raise RuntimeError("the end: canary-of-ours")
"""


def parsed(text: str) -> list[dict[str, Any]]:
    """Return the lines, each of which must be one JSON object with what every line has."""
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        assert {"timestamp", "level", "event", "logger"} <= set(line), line
        assert list(line)[:3] == ["timestamp", "level", "event"], line
    return lines


def log_of(service: Service) -> list[dict[str, Any]]:
    return parsed(service.log.read_text())


def test_every_line_of_every_library_is_one_json_object(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SAY_ALL],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )

    lines = {(line["logger"], line["event"].split(":")[0]): line for line in parsed(ended.stderr)}
    assert ended.stdout == ""
    assert ended.returncode == 1
    assert {logger for logger, _ in lines} == {
        *("proofreel.tests", "dbos", "sqlalchemy.pool", "botocore.retry", "gunicorn.error"),
        *("py.warnings", "proofreel.logs"),
    }
    context = {"job_id": "j1", "attempt": 2, "stage": "probe"}
    for where in (("proofreel.tests", "ours"), ("dbos", "queue pipeline is slow")):
        assert {name: lines[where][name] for name in context} == context
    assert "KeyError" in lines["dbos", "caught there"]["exception"]
    crashes = [line for line in parsed(ended.stderr) if line["event"] == "crashed"]
    assert len(crashes) == 2
    assert "IndexError" in crashes[0]["exception"]
    assert "RuntimeError" in crashes[1]["exception"]
    assert "canary" not in ended.stderr


@pytest.mark.parametrize("command", ["serve", "web", "worker"])
def test_a_start_that_fails_is_told_as_json_too_and_without_the_password(
    tmp_path: Path, command: str
) -> None:
    url = "postgresql://proofreel:canary-db@127.0.0.1:9/proofreel?sslpassword=canary-query"
    settings = ({"PROOFREEL_BEAM_SIZE": "many"}, {"PROOFREEL_DATABASE_URL": url})
    for setting in settings:
        ended = run_cli(environment(tmp_path, **setting), command)
        [line] = parsed(ended.stderr)
        assert (line["event"], line["level"]) == ("cannot_start", "critical")
        assert line["code"] in ("settings_invalid", "database_unreachable")
        assert "canary" not in ended.stderr + ended.stdout


@pytest.fixture(scope="module")
def bucket() -> S3Settings:
    return fresh_bucket()


@pytest.fixture(scope="module")
def canaries(bucket: S3Settings) -> dict[str, str]:
    """A secret for every setting that takes one; those of the bucket are the real ones."""
    signing = [base64.b64encode(f"canary-{n}-of-the-webhook".encode()).decode() for n in (1, 2)]
    return {
        "API_KEY": "canary-api-key",
        "PROOFREEL_WEBHOOK_SECRET": f"whsec_{signing[0]} whsec_{signing[1]}",
        "WEBHOOK_URL": "http://127.0.0.1:9/canary-path-of-hook?token=canary-query",
        **environment_of(bucket),
        "AWS_SESSION_TOKEN": "canary-session-token",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=canary-otlp",
        "signing 1": signing[0],
        "signing 2": signing[1],
    }


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, canaries: dict[str, str]
) -> tuple[list[dict[str, Any]], dict[str, str], bytes]:
    """The log of a service through good and bad times, its jobs, and all bytes of its database."""
    folder = tmp_path_factory.mktemp("told")
    corrupt = folder / "corrupt.mp4"
    corrupt.write_bytes(b"\0\0\0\x20ftypisom" + bytes(range(256)) * 200)
    speech = write_wav(folder / "garden.wav", speak(SENTENCE))
    model_store("tiny.en")
    models = folder / "models"
    shutil.copytree(models_root() / "tiny.en", models / "tiny.en")
    settings = {name: secret for name, secret in canaries.items() if name[0].isupper()}
    more = {"PROOFREEL_WEBHOOK_ALLOW_PRIVATE": "1", "PROOFREEL_MODELS_DIR": str(models)}
    jobs = {}
    with running(folder, "serve", **settings, **more) as service:
        service.client.headers["Authorization"] = canaries["API_KEY"]
        jobs["good"] = service.submit(speech)
        service.finished(jobs["good"])
        jobs["corrupt"] = service.submit(corrupt)
        service.finished(jobs["corrupt"], status="failed")
        (models / "tiny.en" / "model.bin").unlink()
        for recogniser in service.processes("whisper_child"):
            os.kill(recogniser.pid, 9)
        jobs["no model"] = service.submit(speech)
        service.finished(jobs["no model"], status="failed")
        with httpx.Client(base_url=str(service.client.base_url), trust_env=False) as stranger:
            for key in ("canary-wrong-key", "Bearer canary-wrong-key"):
                stranger.get("/v1/jobs", headers={"Authorization": key})
            stranger.post("/check_api_key", json={"api_key": "canary-wrong-key"})
            stranger.get("/v1/jobs?api_key=canary-wrong-key")
        jobs["request id"] = "from-the-proxy-1"
        with speech.open("rb") as file:
            service.client.post(
                "/v1/jobs", files={"file": file}, headers={"X-Request-Id": jobs["request id"]}
            )
        eventually(
            lambda: sum('"webhook_tried"' in line for line in service.log_lines()) >= 4,
            what="tries of the webhook",
        )
    stored = b"".join(path.read_bytes() for path in (folder / "data").glob("proofreel.sqlite*"))
    return log_of(service), jobs, stored


Told = tuple[list[dict[str, Any]], dict[str, str], bytes]


def test_no_secret_is_in_the_log_or_in_the_database(told: Told, canaries: dict[str, str]) -> None:
    lines, _, stored = told
    text = json.dumps(lines)

    assert len(lines) > 40
    assert "canary" not in text
    assert b"canary" not in stored
    secrets = [
        value for name, value in canaries.items() if name not in ("S3_BUCKET", "S3_ENDPOINT")
    ]
    assert len(secrets) >= 9
    for secret in secrets:
        assert secret not in text
        assert secret.encode() not in stored
    assert b"X-Amz-Signature" not in stored


def test_a_submit_ties_the_request_to_the_job(told: Told) -> None:
    lines, jobs, _ = told
    submitted = {line["job_id"]: line for line in lines if line["event"] == "job_submitted"}
    requests = {
        line["request_id"]: line
        for line in lines
        if line["event"] == "request" and line["method"] == "POST"
    }

    assert set(submitted) >= {jobs["good"], jobs["corrupt"], jobs["no model"]}
    for line in submitted.values():
        assert requests[line["request_id"]]["status"] == 202
    assert jobs["request id"] in {line["request_id"] for line in submitted.values()}


def test_wrong_keys_of_the_bucket_are_not_told(tmp_path: Path, bucket: S3Settings) -> None:
    wrong = {"S3_ACCESS_KEY": "canary-access-key", "S3_SECRET_KEY": "canary-secret-key"}
    for command in ("serve", "worker"):
        env = environment(tmp_path, **{**environment_of(bucket), **wrong})
        ended = run_cli(env, command, timeout_s=60)
        [line] = parsed(ended.stderr)
        assert (ended.returncode, line["event"]) == (2, "cannot_start")
        assert "S3_ACCESS_KEY" in line["reason"]
        assert "canary" not in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    ("job", "stage", "code", "detail"),
    [
        ("corrupt", "probe", "media_unreadable", "moov atom not found"),
        ("no model", "transcribe", "model_missing", "/models/tiny.en"),
    ],
)
def test_one_line_of_a_failed_job_says_where_and_why(
    told: Told, job: str, stage: str, code: str, detail: str
) -> None:
    lines, jobs, _ = told
    [failed] = [
        line for line in lines if line["event"] == "job_failed" and line["job_id"] == jobs[job]
    ]

    assert failed["level"] == "error"
    assert (failed["stage"], failed["code"], failed["attempt"]) == (stage, code, 1)
    assert detail in failed["detail"]
    assert failed["reason"].endswith(".")
    assert 0 <= failed["seconds"] < 60
    of_hop = [line for line in lines if line["event"] == "hop_failed"]
    [hop] = [line for line in of_hop if line["job_id"] == jobs[job]]
    assert (hop["stage"], hop["try_number"], hop["again"]) == (stage, 1, False)


def test_a_receiver_that_is_not_there_is_told_with_the_job_and_the_cause(told: Told) -> None:
    lines, jobs, _ = told
    about = [line for line in lines if line.get("job_id") == jobs["corrupt"]]
    [cause, *_] = [line for line in about if line["event"] == "webhook_not_delivered"]
    [tried, *_] = [line for line in about if line["event"] == "webhook_tried"]

    assert cause["url"] == "http://127.0.0.1:9/…"
    assert "Connection refused" in cause["detail"]
    assert (tried["outcome"], tried["try_number"], tried["again_in_s"]) == ("retry", 1, 5)


def test_probes_leave_no_line_each(told: Told) -> None:
    lines, _, _ = told

    assert not [line for line in lines if line.get("route") in ("/health", "/metrics")]
