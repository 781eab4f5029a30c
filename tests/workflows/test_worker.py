"""The service as people run it: real processes, a real model, real speech, real accidents."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.media_samples import make_video
from tests.speech_samples import pause, speak, write_wav
from tests.workflows.recordings import SENTENCE, long_speech
from tests.workflows.service import SPEECH, Service, eventually, running

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
SMALL_LIMIT_BYTES = 300_000
TEXTS = {"srt", "vtt", "transcript_text", "plain_text", "tsv", "transcript_json"}
REPORTS = {"report_text", "report_json", "report_html"}


@dataclass
class Receiver:
    """Someone else's web hook: answers as told, then with 200, and keeps what came."""

    answers: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def about(self, job_id: str) -> list[tuple[dict[str, str], bytes]]:
        return [each for each in self.received if json.loads(each[1])["job_id"] == job_id]


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[Receiver, str]]:
    known = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            known.received.append((headers, body))
            self.send_response(known.answers.pop(0) if known.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield known, f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, receiver: tuple[Receiver, str]
) -> Iterator[Service]:
    settings = {
        "WEBHOOK_URL": receiver[1],
        "PROOFREEL_WEBHOOK_ALLOW_PRIVATE": "1",
        "PROOFREEL_WEBHOOK_SECRET": SECRET,
    }
    with running(tmp_path_factory.mktemp("service"), "serve", **settings) as started:
        yield started


@pytest.fixture(scope="module")
def small_service(
    tmp_path_factory: pytest.TempPathFactory, receiver: tuple[Receiver, str]
) -> Iterator[Service]:
    """One that makes smaller copies early, and that may not call private addresses."""
    settings = {"WEBHOOK_URL": receiver[1], "MAX_FILE_SIZE": str(SMALL_LIMIT_BYTES)}
    with running(tmp_path_factory.mktemp("small"), "serve", **settings) as started:
        yield started


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("short") / "garden.wav", speak(SENTENCE))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("long") / "lecture.wav", long_speech())


def test_a_spoken_recording_comes_back_as_every_file_with_its_words(
    service: Service, short: Path
) -> None:
    job = service.finished(service.submit(short))
    files = {file["kind"]: file for file in job["result"]["files"]}
    assert set(files) == TEXTS | REPORTS | {"manifest", "original"}
    for kind, file in files.items():
        fetched = service.client.get(file["url"])
        assert fetched.status_code == 200, kind
        assert len(fetched.content) == file["size"] > 0, kind
    assert service.file(job["id"], "original").content == short.read_bytes()
    for kind in TEXTS:
        assert "nice today" in service.file(job["id"], kind).text.replace("\n", " "), kind
    assert "children play in the garden" in service.file(job["id"], "plain_text").text
    assert (job["progress"], job["error"], job["attempt"]) == (100, None, 1)
    assert job["result"]["duration"] == pytest.approx(speak(SENTENCE).size / 16_000, abs=0.05)
    names = {file["name"] for file in service.file(job["id"], "manifest").json()["files"]}
    assert names == {files[kind]["name"] for kind in TEXTS | REPORTS}
    assert [line for line in service.log_lines() if "housekeeping" in line] == []


def test_a_silent_recording_completes_without_words(service: Service, tmp_path: Path) -> None:
    job = service.finished(service.submit(write_wav(tmp_path / "silent.wav", pause(5))))
    assert service.file(job["id"], "plain_text").text.strip() == ""
    assert service.file(job["id"], "transcript_json").json()["segments"] == []


def test_a_text_named_mp3_fails_with_a_code_and_the_next_job_works(
    service: Service, tmp_path: Path, short: Path
) -> None:
    text = tmp_path / "song.mp3"
    text.write_text("This is not sound at all.\n" * 50)
    job = service.finished(service.submit(text), status="failed")
    assert job["error"]["code"] == "media_unreadable"
    assert job["error"]["retryable"] is False
    assert "Traceback" not in json.dumps(job)
    assert str(service.folder) not in json.dumps(job)
    service.finished(service.submit(short))


def test_a_killed_worker_comes_back_and_goes_on_at_the_hop_it_was_at(
    service: Service, long: Path
) -> None:
    job_id = service.submit(long)
    service.transcribing(job_id)
    recogniser = service.processes(SPEECH)
    worker = service.part("worker")
    os.kill(worker.pid, signal.SIGKILL)
    assert _hops(service, job_id) == {"probe": 1, "extract": 1}

    job = service.finished(job_id)
    assert job["attempt"] == 1
    assert "children play in the garden" in service.file(job_id, "plain_text").text
    started = [line["stage"] for line in service.events(job_id, "hop_started")]
    assert [started.count(stage) for stage in ("probe", "extract", "transcribe")] == [1, 1, 2]
    done = ("probe", "extract", "transcribe", "silence", "subtitles", "report", "publish")
    assert _hops(service, job_id) == dict.fromkeys(done, 1)
    assert service.part("worker").pid != worker.pid
    assert not set(recogniser) & set(service.processes(SPEECH))


def test_a_killed_web_half_comes_back_and_the_job_never_noticed(
    service: Service, long: Path
) -> None:
    job_id = service.submit(long)
    service.transcribing(job_id)
    web = service.part("web")
    os.kill(web.pid, signal.SIGKILL)
    service.finished(job_id)
    assert service.part("web").pid != web.pid
    started = [line["stage"] for line in service.events(job_id, "hop_started")]
    assert started.count("transcribe") == 1


def test_a_cancelled_job_stops_at_once_and_can_be_retried_and_deleted(
    service: Service, long: Path, short: Path
) -> None:
    job_id = service.submit(long)
    service.transcribing(job_id)
    recogniser = set(service.processes(SPEECH))
    answer = service.client.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    eventually(lambda: not recogniser & set(service.processes(SPEECH)), within_s=3)
    service.finished(service.submit(short))
    assert service.job(job_id)["status"] == "cancelled"

    assert service.client.post(f"/v1/jobs/{job_id}/retry").status_code == 202
    assert service.finished(job_id)["attempt"] == 2
    assert "children play in the garden" in service.file(job_id, "plain_text").text

    stored = service.folder / "data" / "files"
    assert _named(stored, "lecture.wav"), "the recording is stored"
    assert service.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert service.client.get(f"/v1/jobs/{job_id}").status_code == 404
    assert not (stored / "jobs" / job_id).exists()
    tables = {
        "proofreel_job": "id",
        "proofreel_delivery": "job_id",
        "workflow_status": "workflow_uuid",
        "operation_outputs": "workflow_uuid",
    }
    for table, column in tables.items():
        left = service.query(f"select 1 from {table} where {column} like ?", f"{job_id}%")  # noqa: S608
        assert left == [], table


def test_deleting_a_job_at_work_stops_it_and_leaves_nothing(service: Service, long: Path) -> None:
    before = len(_named(service.folder / "data" / "files", "lecture.wav"))
    job_id = service.submit(long)
    service.transcribing(job_id)
    recogniser = set(service.processes(SPEECH))
    assert service.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    eventually(lambda: not recogniser & set(service.processes(SPEECH)), within_s=5)
    stored = service.folder / "data" / "files"
    eventually(lambda: not (stored / "jobs" / job_id).exists(), within_s=10)
    assert len(_named(stored, "lecture.wav")) == before
    assert service.query("select 1 from proofreel_job where id = ?", job_id) == []


def test_a_webhook_is_tried_again_under_its_id_and_its_signature_holds(
    service: Service, receiver: tuple[Receiver, str], short: Path
) -> None:
    known, url = receiver
    eventually(lambda: not _pending(service), what="an empty queue of messages")
    known.answers = [500]
    job_id = service.submit(short)
    service.finished(job_id)
    eventually(lambda: len(known.about(job_id)) == 2, what="two tries")
    (first, first_body), (second, second_body) = known.about(job_id)
    assert first["webhook-id"] == second["webhook-id"]
    assert first_body == second_body
    for headers, body in known.about(job_id):
        message = Webhook(SECRET).verify(body, headers)
        assert (message["type"], message["job_id"]) == ("job.completed", job_id)
    eventually(lambda: not _pending(service), what="the note of the second try")
    [delivery] = _deliveries(service, job_id)
    shown = url.removesuffix("hook") + "…"  # paths often hold a secret
    assert (delivery["id"], delivery["url"]) == (first["webhook-id"], shown)
    assert delivery["state"] == "delivered"
    assert [tried["status_code"] for tried in delivery["tries"]] == [500, 200]
    assert json.loads(second_body)["result"]["srt_url"].endswith(".srt")


def test_a_failed_job_tells_the_webhook_so(
    service: Service, receiver: tuple[Receiver, str], tmp_path: Path
) -> None:
    empty = tmp_path / "noise.mp3"
    empty.write_bytes(bytes(5000))
    job = service.finished(service.submit(empty), status="failed")
    eventually(lambda: receiver[0].about(job["id"]), what="the message")
    message = json.loads(receiver[0].about(job["id"])[0][1])
    assert (message["type"], message["status"]) == ("job.failed", "failed")
    assert message["error"] == job["error"]["message"]


def test_a_private_webhook_is_refused_by_default_and_the_job_completes(
    small_service: Service, receiver: tuple[Receiver, str], short: Path
) -> None:
    job_id = small_service.submit(short)
    small_service.finished(job_id)
    eventually(lambda: _deliveries(small_service, job_id)[0]["tries"], what="a try")
    [delivery] = _deliveries(small_service, job_id)
    assert delivery["tries"][0]["status_code"] is None
    assert delivery["tries"][0]["error"]
    assert receiver[0].about(job_id) == []


def test_an_oversized_video_gets_a_copy_below_the_limit_through_the_routes_of_old(
    small_service: Service, tmp_path: Path
) -> None:
    client = small_service.client
    video = make_video(tmp_path / "big.mp4", duration_s=4, size="640x480", args=("-b:v", "4M"))
    assert video.stat().st_size > SMALL_LIMIT_BYTES
    assert client.get("/health").json()["status"] == "healthy"
    assert client.get("/health/ready").json()["status"] == "ready"
    key = client.headers["Authorization"].removeprefix("Bearer ")
    assert client.post("/check_api_key", json={"api_key": key}).json() == {"valid": True}
    assert client.post("/check_api_key", json={"api_key": "no"}).status_code == 401
    with video.open("rb") as file:
        uploaded = client.post("/upload", files={"file": file}).json()
    assert client.get(uploaded["file_url"]).content == video.read_bytes()
    accepted = client.post("/convert_and_transcribe", json={"filename": uploaded["filename"]})
    assert accepted.status_code == 202
    status_url = f"/job_status/{accepted.json()['job_id']}"
    eventually(lambda: client.get(status_url).status_code == 200, what="the end of the job")
    status = client.get(status_url).json()
    assert status["status"] == "completed", status
    scaled = client.get(status["scaled_url"])
    assert 0 < len(scaled.content) <= SMALL_LIMIT_BYTES
    assert scaled.headers["Content-Type"] == "video/mp4"
    assert client.get(status["srt_url"]).status_code == 200
    assert client.get(status["original_file_url"]).content == video.read_bytes()


def _hops(service: Service, job_id: str) -> dict[str, int]:
    """Return how many checkpoints the engine has of each hop."""
    rows = service.query(
        "select function_name, count(*) from operation_outputs"
        " where workflow_uuid = ? group by function_name",
        f"{job_id}-1",
    )
    return {str(name): int(count) for name, count in rows}


def _named(folder: Path, name: str) -> list[Path]:
    return [path for path in folder.rglob(name) if path.is_file()]


def _deliveries(service: Service, job_id: str) -> list[dict[str, Any]]:
    answer = service.client.get("/v1/webhooks/deliveries", params={"job_id": job_id})
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def _pending(service: Service) -> bool:
    answer = service.client.get("/v1/webhooks/deliveries", params={"limit": 200})
    return any(each["state"] == "pending" for each in answer.json()["deliveries"])
