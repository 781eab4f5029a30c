"""`/v1/jobs` and `/v1/webhooks`, over the real database."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from proofreel.adapters.ledger import Message
from proofreel.core.jobs import Failure
from proofreel.web.schemas import JobAnswer
from tests.web.helpers import AUTH, KEY, SOUND, Site, body, form, open_site, problem

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_submitted_recording_is_a_queued_job(site: Site) -> None:
    answer = site.post(
        "/v1/jobs",
        data=form(name="Rede.m4a", model="tiny.en", language="de", task="translate", prompt="Köln"),
    )

    assert answer.status_code == 202
    job = body(answer)
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert job["name"] == "Rede.m4a"
    assert (job["status"], job["stage"], job["progress"], job["attempt"]) == ("queued", "", 0, 1)
    assert job["options"] == {
        "model": "tiny.en",
        "language": "de",
        "task": "translate",
        "prompt": "Köln",
    }
    assert ISO.fullmatch(job["created_at"])
    assert (job["started_at"], job["finished_at"]) == (None, None)
    assert (job["error"], job["result"]) == (None, None)
    assert body(site.get(answer.headers["Location"])) == job


def test_options_after_the_file_count_as_well(site: Site) -> None:
    raw = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nx\r\n'
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n--b--\r\n'
    )
    answer = site.post("/v1/jobs", data=raw, content_type="multipart/form-data; boundary=b")

    assert body(answer)["options"]["language"] == "en"


def test_blank_options_mean_the_default(site: Site) -> None:
    answer = site.post("/v1/jobs", data=form(model="", language="auto", prompt=" "))

    options = {"model": "base", "language": None, "task": "transcribe", "prompt": None}
    assert body(answer)["options"] == options


def test_a_stored_recording_can_be_submitted_by_its_filename(site: Site) -> None:
    filename = body(site.post("/upload", data=form(name="a.mp3")))["filename"]

    answer = site.post("/v1/jobs", json={"filename": filename, "options": {"language": "en"}})

    assert answer.status_code == 202
    assert body(answer)["name"] == "a.mp3"
    assert body(answer)["options"]["language"] == "en"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "large"}, "model_unknown"),
        ({"model": "../../etc"}, "model_unknown"),
        ({"model": "/root/model"}, "model_unknown"),
        ({"language": "xx"}, "language_unknown"),
        ({"task": "sing"}, "invalid_request"),
        ({"prompt": "x" * 1001}, "invalid_request"),
        ({"language": "e" * 21}, "invalid_request"),
    ],
)
def test_options_that_cannot_work_are_refused_and_nothing_is_kept(
    site: Site, fields: dict[str, str], code: str
) -> None:
    answer = site.post("/v1/jobs", data=form(SOUND, "talk.wav", **fields))

    assert problem(answer) == (400, code)
    assert site.stored() == set()
    assert body(site.get("/v1/jobs"))["jobs"] == []


def test_a_completed_job_says_what_was_found_and_where_the_files_are(site: Site) -> None:
    job_id = site.submit(name="talk.mp4")
    site.complete(job_id)

    job = body(site.get(f"/v1/jobs/{job_id}"))

    JobAnswer.model_validate(job, strict=True)
    assert job["status"] == "completed"
    assert job["progress"] == 100
    assert ISO.fullmatch(job["finished_at"])
    assert job["result"]["duration"] == 61.5
    assert job["result"]["headline"] == "1 min 2 s; all good."
    assert job["result"]["summary"] == {"silences": 2}
    files = {found["kind"]: found for found in job["result"]["files"]}
    assert files["srt"] == {
        "kind": "srt",
        "name": "talk.srt",
        "content_type": "application/x-subrip; charset=utf-8",
        "size": 38,
        "purpose": "Subtitles, for YouTube and Premiere",
        "url": f"http://localhost/v1/jobs/{job_id}/files/talk.srt",
    }
    assert files["original"]["content_type"] == "video/mp4"
    assert files["original"]["size"] == len(SOUND)
    for found in files.values():
        assert len(site.get(found["url"].removeprefix("http://localhost")).data) == found["size"]


def test_a_failed_job_says_why_and_can_be_tried_again(site: Site) -> None:
    job_id = site.submit()
    site.fail(job_id)

    failed = body(site.get(f"/v1/jobs/{job_id}"))
    again = site.post(f"/v1/jobs/{job_id}/retry")

    assert failed["error"] == {
        "code": "media_unusable",
        "message": "The file holds no sound.",
        "retryable": False,
    }
    assert again.status_code == 202
    assert (body(again)["status"], body(again)["attempt"]) == ("queued", 2)


def test_cancel_stops_a_job_once(site: Site) -> None:
    job_id = site.submit()

    first = site.post(f"/v1/jobs/{job_id}/cancel")
    second = site.post(f"/v1/jobs/{job_id}/cancel")

    assert (first.status_code, body(first)["status"]) == (200, "cancelled")
    assert problem(second) == (409, "job_state")


def test_a_queued_job_cannot_be_retried(site: Site) -> None:
    assert problem(site.post(f"/v1/jobs/{site.submit()}/retry")) == (409, "job_state")


def test_delete_removes_the_job_and_its_files(site: Site) -> None:
    job_id = site.submit()
    site.complete(job_id)

    gone = site.client.delete(f"/v1/jobs/{job_id}", headers=AUTH)

    assert (gone.status_code, gone.data) == (204, b"")
    assert problem(site.get(f"/v1/jobs/{job_id}")) == (404, "job_not_found")
    assert site.stored() == set()
    assert site.client.delete(f"/v1/jobs/{job_id}", headers=AUTH).status_code == 404


def test_delete_removes_what_upload_noted_beside_the_recording(site: Site) -> None:
    filename = body(site.post("/upload", data=form()))["filename"]
    accepted = site.post("/convert_and_transcribe", json={"filename": filename})

    site.client.delete(f"/v1/jobs/{body(accepted)['job_id']}", headers=AUTH)

    assert site.stored() == set()


def test_the_list_is_paged_newest_first(site: Site) -> None:
    made = [site.submit(name=f"part {number}.wav") for number in range(5)]

    seen, cursor = [], ""
    while cursor is not None:
        page = body(site.get(f"/v1/jobs?limit=2&cursor={cursor}" if cursor else "/v1/jobs?limit=2"))
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]

    assert seen == sorted(made, reverse=True)


def test_the_list_can_be_narrowed_by_state_and_name(site: Site) -> None:
    kept = site.submit(name="Übung 50%.wav")
    site.post(f"/v1/jobs/{site.submit(name='other.wav')}/cancel")

    by_state = body(site.get("/v1/jobs?status=queued"))["jobs"]
    by_name = body(site.get("/v1/jobs", query_string={"q": "50"}))["jobs"]
    by_neither = body(site.get("/v1/jobs", query_string={"q": "%"}))["jobs"]

    assert [job["id"] for job in by_state] == [kept]
    assert [job["id"] for job in by_name] == [kept]
    assert [job["id"] for job in by_neither] in ([kept], [])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_request"),
        ("limit=201", "invalid_request"),
        ("limit=x", "invalid_request"),
        ("status=lost", "invalid_request"),
        ("cursor=nonsense", "bad_cursor"),
        ("q=" + "x" * 201, "invalid_request"),
    ],
)
def test_a_list_that_cannot_be_made_is_a_400(site: Site, query: str, code: str) -> None:
    answer = site.get(f"/v1/jobs?{query}")

    assert problem(answer) == (400, code)
    if code == "invalid_request":
        assert body(answer)["error"].startswith(query.partition("=")[0] + ": ")


def test_the_same_request_under_one_idempotency_key_is_one_job(site: Site) -> None:
    headers = {"Idempotency-Key": "once"}

    first = site.post("/v1/jobs", data=form(), headers=headers)
    second = site.post("/v1/jobs", data=form(), headers=headers)

    assert (first.status_code, second.status_code) == (202, 202)
    assert body(first)["id"] == body(second)["id"]
    assert len(site.stored()) == 2  # the recording and its record
    assert site.get(f"/v1/jobs/{body(first)['id']}/files/original").data == SOUND


def test_another_request_under_a_used_idempotency_key_is_refused(site: Site) -> None:
    headers = {"Idempotency-Key": "once"}
    site.post("/v1/jobs", data=form(), headers=headers)

    other_bytes = site.post("/v1/jobs", data=form(b"other"), headers=headers)
    other_options = site.post("/v1/jobs", data=form(language="en"), headers=headers)

    assert problem(other_bytes) == (422, "idempotency_mismatch")
    assert problem(other_options) == (422, "idempotency_mismatch")
    assert len(site.stored()) == 2  # the recording and its record


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_a_sensible_length(site: Site, key: str) -> None:
    answer = site.post("/v1/jobs", data=form(), headers={"Idempotency-Key": key})

    assert problem(answer) == (400, "invalid_request")


def test_fifty_at_once_under_one_idempotency_key_are_one_job(site: Site) -> None:
    start = threading.Barrier(10)
    answers: list[tuple[int, str]] = []

    def send() -> None:
        start.wait()
        for _ in range(5):
            answer = site.post("/v1/jobs", data=form(), headers={"Idempotency-Key": "once"})
            answers.append((answer.status_code, body(answer).get("id", "")))

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 50
    assert {status for status, _ in answers} == {202}
    assert len({job_id for _, job_id in answers}) == 1
    assert len(body(site.get("/v1/jobs"))["jobs"]) == 1
    assert len(site.stored()) == 2  # the recording and its record


def test_webhook_messages_are_listed_and_sent_again(site: Site) -> None:
    job_id = site.submit()
    failure = Failure("media_unusable", "The file holds no sound.", False)
    message = Message("job.failed", "https://receiver.example/hook", {"job_id": job_id})
    site.ledger.fail(job_id, 1, failure, message)

    found = body(site.get(f"/v1/webhooks/deliveries?job_id={job_id}"))["deliveries"]
    others = body(site.get(f"/v1/webhooks/deliveries?job_id={'0' * 26}"))["deliveries"]
    again = site.post(f"/v1/webhooks/deliveries/{found[0]['id']}/resend")

    assert len(found) == 1
    assert found[0]["job_id"] == job_id
    assert found[0]["url"] == "https://receiver.example/hook"
    assert (found[0]["state"], found[0]["tries"]) == ("pending", [])
    assert ISO.fullmatch(found[0]["created_at"])
    assert others == []
    assert (again.status_code, body(again)["id"]) == (202, found[0]["id"])
    missing = site.post("/v1/webhooks/deliveries/none/resend")
    assert problem(missing) == (404, "delivery_not_found")


def test_jobs_outlive_the_web_process(tmp_path: Path) -> None:
    with open_site(tmp_path) as site:
        job_id = site.submit()
    with open_site(tmp_path) as site:
        answer = site.client.get(f"/v1/jobs/{job_id}", headers={"Authorization": KEY})

    assert body(answer)["status"] == "queued"
