"""The whole service over a bucket: the clients of old, and a network on its bad days."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from proofreel.adapters.jobs import job_prefix
from tests.media_samples import make, make_video
from tests.s3.bucket import client, environment_of, fresh_bucket, server
from tests.s3.fault_proxy import FAULTS, Fault, fault_proxy
from tests.speech_samples import pause, speak, write_wav
from tests.workflows.recordings import SENTENCE
from tests.workflows.service import Service, eventually, running

TEXTS = ("srt", "vtt", "transcript_text", "plain_text", "tsv", "report_text")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "talk.wav"
    write_wav(path, np.concatenate([speak(SENTENCE), pause(2.5), speak(SENTENCE)]))
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    bucket = fresh_bucket()
    with running(tmp_path_factory.mktemp("bucket"), **environment_of(bucket)) as started:
        yield started


def bucket_of(service: Service) -> str:
    return service.settings["S3_BUCKET"]


def test_a_client_of_old_gets_everything_by_the_calls_it_knows(
    service: Service, recording: Path
) -> None:
    web = service.client
    assert web.get("/health").json()["status"] == "healthy"
    assert web.post("/check_api_key", json={"api_key": "the key of these tests"}).json() == {
        "valid": True
    }
    with recording.open("rb") as file:
        uploaded = web.post("/upload", files={"file": file}).json()
    assert httpx.get(uploaded["file_url"]).content == recording.read_bytes()
    accepted = web.post("/convert_and_transcribe", json={"filename": uploaded["filename"]})
    assert accepted.status_code == 202

    def done() -> httpx.Response | None:
        answer = web.get(f"/job_status/{accepted.json()['job_id']}")
        return answer if answer.status_code == 200 else None

    found = eventually(done, what="the end of the job").json()
    assert found["status"] == "completed"
    for name in ("original_file", "transcription", "srt", "report", "plain_text"):
        url = found[f"{name}_url"]
        assert urlsplit(url).netloc == urlsplit(service.settings["S3_ENDPOINT"]).netloc
        assert httpx.get(url).status_code == 200
    assert "garden" in httpx.get(found["srt_url"]).text


def test_an_object_that_a_stranger_put_there_is_transcribed_by_its_name(
    service: Service, tmp_path: Path
) -> None:
    key = "Möbius – Vorlesung 3 (final).mp4"
    silent = make_video(tmp_path / "silent.mp4", duration_s=5, sound=False)
    sound = write_wav(tmp_path / "sound.wav", speak(SENTENCE))
    video = make(tmp_path / "video.mp4", "-i", str(silent), "-i", str(sound), "-c:v", "copy")
    client().upload_file(str(video), bucket_of(service), key)

    accepted = service.client.post("/convert_and_transcribe", json={"filename": key})
    job = service.finished(accepted.json()["job_id"])

    assert job["name"] == key
    assert "garden" in service.file(job["id"], "srt").text
    names = {file["name"] for file in job["result"]["files"]}
    assert "Möbius - Vorlesung 3 (final).srt" in names
    service.client.delete(f"/v1/jobs/{job['id']}")
    assert client().head_object(Bucket=bucket_of(service), Key=key)["ContentLength"] > 0


def test_the_files_of_a_job_lie_in_the_bucket_with_types_and_names(
    service: Service, recording: Path
) -> None:
    job = service.finished(service.submit(recording))

    found = client().list_objects_v2(Bucket=bucket_of(service), Prefix=f"jobs/{job['id']}/")
    keys = {entry["Key"].partition(f"{job['id']}/")[2] for entry in found["Contents"]}

    assert keys >= {
        "talk.srt",
        "talk.vtt",
        "talk_transcription.txt",
        "talk_plain.txt",
        "talk.tsv",
        "talk_transcript.json",
        "talk_report.txt",
        "talk_report.json",
        "talk_report.html",
        "manifest.json",
    }
    eventually(
        lambda: (
            "Contents"
            not in client().list_objects_v2(
                Bucket=bucket_of(service), Prefix=f"{job_prefix(job['id'])}work/"
            )
        ),
        what="the end of the intermediate files",
    )
    srt = client().head_object(Bucket=bucket_of(service), Key=f"jobs/{job['id']}/talk.srt")
    assert srt["ContentType"] == "application/x-subrip; charset=utf-8"
    assert srt["ContentDisposition"] == 'attachment; filename="talk.srt"'


def test_a_recording_that_is_replaced_under_a_job_is_not_mixed_with_its_successor(
    service: Service, recording: Path, tmp_path: Path
) -> None:
    """The retry works on what was submitted or says that it is no longer there."""
    write_wav(tmp_path / "other.wav", speak("Please close the door behind you."))
    client().upload_file(str(tmp_path / "other.wav"), bucket_of(service), "swap.wav")
    sent = service.client.post("/convert_and_transcribe", json={"filename": "swap.wav"})
    job_id = sent.json()["job_id"]
    service.client.post(f"/v1/jobs/{job_id}/cancel")
    if service.job(job_id)["status"] != "cancelled":
        pytest.fail("the job ended before it could be cancelled")
    client().upload_file(str(recording), bucket_of(service), "swap.wav")

    service.client.post(f"/v1/jobs/{job_id}/retry")

    error = service.finished(job_id, status="failed")["error"]
    assert error["code"] == "file_changed"


def test_a_bad_network_never_makes_a_wrong_result(recording: Path, tmp_path: Path) -> None:
    """Every fault in turn, at random requests; each job ends, and what it made is right."""
    chance = random.Random(int(os.environ.get("PROOFREEL_TEST_SEED", "20261124")))
    faults = itertools.cycle(chance.sample(FAULTS, len(FAULTS)))

    def now_and_then(method: str, path: str) -> Fault | None:
        return next(faults) if chance.random() < 0.12 else None

    with fault_proxy(server()["endpoint"]) as (endpoint, requests):
        requests.stall_s = 5.0
        bucket = fresh_bucket(endpoint=endpoint)
        with running(tmp_path, **environment_of(bucket)) as service:
            right = service.finished(service.submit(recording))
            expected = {kind: service.file(right["id"], kind).content for kind in TEXTS}
            requests.choose = now_and_then
            accepted = [_submitted(service, recording) for _ in range(6)]
            ended = {id: _ended(service, id) for id in accepted if id}
            requests.choose = lambda method, path: None
            for job_id, job in ended.items():
                _check(service, job_id, job, expected)
    assert ended
    assert {fault.partition(" ")[0] for fault in requests.done} == set(FAULTS)


def _submitted(service: Service, recording: Path) -> str | None:
    """Return the job's id, None where the upload was refused in a sentence."""
    with recording.open("rb") as file:
        answer = service.client.post("/v1/jobs", files={"file": file}, timeout=120)
    if answer.status_code == 202:
        return str(answer.json()["id"])
    assert answer.json()["code"] in ("storage_unavailable", "file_damaged"), answer.text
    return None


def _ended(service: Service, job_id: str) -> dict[str, object]:
    def look() -> dict[str, object] | None:
        job = service.job(job_id)
        return job if job["status"] in ("completed", "failed") else None

    return eventually(look, within_s=240, what=f"the end of {job_id}")


def _check(
    service: Service, job_id: str, job: dict[str, object], expected: dict[str, bytes]
) -> None:
    if job["status"] == "failed":
        error = job["error"]
        assert isinstance(error, dict)
        assert error["code"] in ("storage_unavailable", "file_damaged"), job
        return
    made = {kind: service.file(job_id, kind).content for kind in expected}
    assert made == expected
