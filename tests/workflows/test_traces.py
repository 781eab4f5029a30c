"""A job's spans reach a real receiver, in the trace of the request that submitted it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.media_samples import make_video
from tests.speech_samples import speak, write_wav
from tests.workflows.otlp import Received, Receiver, receiving
from tests.workflows.recordings import SENTENCE
from tests.workflows.service import Service, environment, eventually, running

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HOPS = {"probe", "extract", "transcribe", "silence", "subtitles", "report", "publish"}
SPAN = """
from proofreel.logs import configure_logging
configure_logging("json")
from proofreel.adapters.tracing import open_tracer
tracer = open_tracer("a test")
for n in range(3):
    with tracer.span("work", {}) as span:
        print(span.traceparent)
    flush = getattr(getattr(tracer, "_provider", None), "force_flush", lambda: None)
    flush()
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as known:
        yield known


def submit(service: Service, recording: Path) -> str:
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    with recording.open("rb") as file:
        answer = service.client.post("/v1/jobs", files={"file": file}, headers=headers)
    return str(answer.json()["id"])


def only(spans: list[Received], name: str) -> Received:
    [found] = [span for span in spans if span.name == name]
    return found


def test_a_job_is_one_trace_from_the_caller_to_the_webhook(
    tmp_path: Path, receiver: Receiver
) -> None:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "60000",  # so that all that comes is sent at the end
        "WEBHOOK_URL": "http://127.0.0.1:9/hook",
        "PROOFREEL_WEBHOOK_ALLOW_PRIVATE": "1",
        "MAX_FILE_SIZE": "60000",
    }
    speech = write_wav(tmp_path / "garden.wav", speak(SENTENCE))
    corrupt = tmp_path / "corrupt.mp4"
    corrupt.write_bytes(b"\0\0\0\x20ftypisom" + bytes(50_000))
    video = make_video(tmp_path / "big.mp4", duration_s=2, size="320x240", args=("-b:v", "2M"))
    with running(tmp_path, "serve", **settings) as service:
        good = submit(service, video)
        service.finished(good)
        eventually(lambda: service.events(good, "webhook_tried"), what="the webhook")
        plain = service.submit(speech)
        service.finished(plain)
        bad = submit(service, corrupt)
        service.finished(bad, status="failed")
        assert receiver.requests == 0
    of_bad = [span for span in receiver.spans if span.about.get("proofreel.job_id") == bad]
    spans = [span for span in receiver.of_trace(TRACE) if span not in of_bad]

    request, job = only(spans, "POST /v1/jobs"), only(spans, "job")
    assert (request.service, job.service) == ("proofreel-web", "proofreel-worker")
    assert request.parent_id == CALLER
    assert request.about["http.route"] == "/v1/jobs"
    assert request.about["http.response.status_code"] == 202
    assert request.about["proofreel.job_id"] == good
    assert job.parent_id == request.span_id
    assert {span.name for span in spans} == HOPS | {"POST /v1/jobs", "job", "scale", "webhook"}
    for hop in HOPS:
        span = only(spans, hop)
        assert span.parent_id == job.span_id, hop
        assert span.about["proofreel.stage"] == hop
        assert span.about["proofreel.job_id"] == good
        assert span.about["proofreel.attempt"] == 1
        assert span.seconds <= job.seconds
        assert not span.failed
    assert only(spans, "scale").parent_id == request.span_id
    webhook = only(spans, "webhook")
    assert webhook.parent_id == request.span_id
    assert (webhook.failed, webhook.about["error.type"]) == (True, "webhook_retry")

    [line] = service.events(bad, "job_failed")
    assert line["trace_id"] == TRACE
    [line] = service.events(bad, "job_submitted")
    assert line["trace_id"] == TRACE
    for name in ("job", "probe"):
        failed = only(of_bad, name)
        assert (failed.failed, failed.about["error.type"]) == (True, "media_unreadable")
    [own] = [span for span in receiver.spans if span.about.get("proofreel.job_id") == plain][:1]
    assert own.trace_id != TRACE
    assert not [span for span in receiver.spans if "/health" in span.name]


def _spans(folder: Path, **settings: str) -> tuple[list[str], list[dict[str, str]], float]:
    """Run a process that makes three spans: what they were called, what it said, how long."""
    began_s = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", SPAN],
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said = [json.loads(line) for line in ended.stderr.splitlines()]
    return ended.stdout.split(), said, time.monotonic() - began_s


@pytest.mark.parametrize("more", [{}, {"OTEL_SDK_DISABLED": "true"}])
def test_without_a_receiver_or_switched_off_nothing_is_sent(
    tmp_path: Path, receiver: Receiver, more: dict[str, str]
) -> None:
    if more:
        more = {**more, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    made, said, _ = _spans(tmp_path, **more)

    assert made == ["None"] * 3
    assert said == []
    assert receiver.requests == 0


def test_without_the_packages_a_line_says_what_to_install(
    tmp_path: Path, receiver: Receiver
) -> None:
    hidden = tmp_path / "hidden" / "opentelemetry"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("")  # found first, and without anything in it
    path = f"{hidden.parent}:{':'.join(sys.path)}"
    made, said, _ = _spans(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, PYTHONPATH=path)

    assert made == ["None"] * 3
    assert [line["event"] for line in said] == ["traces_off"]
    assert "extra otel" in said[0]["reason"]


def test_a_receiver_that_refuses_is_told_once_and_disturbs_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = 400
    made, said, _ = _spans(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

    assert len(set(made)) == 3
    assert receiver.requests >= 3
    assert [line["event"] for line in said] == ["traces_not_delivered"]
    assert "400" in said[0]["detail"]


def test_a_process_does_not_wait_long_for_a_receiver_that_is_gone(tmp_path: Path) -> None:
    slow = SPAN.partition("    flush =")[0]
    ended = subprocess.run(
        [sys.executable, "-c", slow],
        env=environment(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )

    assert len(ended.stdout.split()) == 3
