"""The routes of existing clients answer as those clients know them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.web.helpers import FILES, KEY, SOUND, Site, body, form, open_site, problem


@pytest.fixture
def site(any_site: Site) -> Site:
    """Every test here runs over every storage."""
    return any_site


def test_check_api_key_tells_a_right_key_from_a_wrong_one(site: Site) -> None:
    right = site.client.post("/check_api_key", json={"api_key": KEY})
    wrong = site.client.post("/check_api_key", json={"api_key": KEY + "x"})

    assert (right.status_code, right.json) == (200, {"valid": True})
    assert (wrong.status_code, wrong.json) == (401, {"valid": False})


def test_check_api_key_takes_a_form_too(site: Site) -> None:
    assert site.client.post("/check_api_key", data={"api_key": KEY}).json == {"valid": True}


@pytest.mark.parametrize(
    ("sent", "content_type", "code"),
    [
        ("{", "application/json", "invalid_json"),
        ("[1]", "application/json", "invalid_json"),
        ("\udcff".encode(errors="surrogateescape"), "application/json", "invalid_json"),
        ("[" * 20_000, "application/json", "invalid_json"),
        ("{}", "application/json", "invalid_request"),
        ('{"api_key": 5}', "application/json", "invalid_request"),
        ('{"api_key": "\\ud800"}', "application/json", "invalid_request"),
        ("api_key=x", "text/plain", "wrong_content_type"),
        ("", "", "wrong_content_type"),
    ],
)
def test_a_body_that_cannot_be_used_is_a_400(
    site: Site, sent: str | bytes, content_type: str, code: str
) -> None:
    answer = site.client.post("/check_api_key", data=sent, content_type=content_type)

    assert problem(answer) == (400, code)


def test_a_missing_field_is_named(site: Site) -> None:
    answer = site.post("/convert_and_transcribe", json={"file": "x"})

    assert body(answer) == {"code": "invalid_request", "error": "filename: Field required."}


def test_upload_convert_and_status_lead_to_the_files(site: Site) -> None:
    uploaded = site.post("/upload", data=form(name="Vorlesung 1.mp3"))
    assert uploaded.status_code == 200
    assert set(body(uploaded)) == {"message", "filename", "file_url"}
    fetched = site.get(urlsplit(body(uploaded)["file_url"]).path)
    assert fetched.data == SOUND

    accepted = site.post("/convert_and_transcribe", json={"filename": body(uploaded)["filename"]})
    assert accepted.status_code == 202
    job_id = body(accepted)["job_id"]

    queued = site.get(f"/job_status/{job_id}")
    assert (queued.status_code, body(queued)) == (
        202,
        {"status": "queued", "stage": "", "progress": 0},
    )
    site.ledger.start(job_id, 1, "transcribe", 40)
    working = site.get(f"/job_status/{job_id}")
    assert (working.status_code, body(working)) == (
        202,
        {"status": "processing", "stage": "transcribe", "progress": 40},
    )
    site.complete(job_id)
    done = site.get(f"/job_status/{job_id}")
    assert done.status_code == 200
    assert body(done)["status"] == "completed"
    assert body(done)["message"] == "1 min 2 s; all good."
    assert body(done)["original_filename"] == "Vorlesung 1.mp3"
    assert body(done)["transcription_filename"] == "Vorlesung 1_transcription.txt"
    assert body(done)["srt_filename"] == "Vorlesung 1.srt"
    assert body(done)["report_filename"] == "Vorlesung 1_report.txt"
    assert body(done)["plain_text_filename"] == "Vorlesung 1_plain.txt"
    for field, data in {
        "original_file_url": SOUND,
        "transcription_url": FILES["transcript_text"],
        "srt_url": FILES["srt"],
        "report_url": FILES["report_text"],
        "plain_text_url": FILES["plain_text"],
    }.items():
        url = urlsplit(body(done)[field])
        assert (url.scheme, url.netloc) == ("http", "localhost")
        assert site.get(url.path).data == data, field


def test_links_start_with_the_public_address_where_one_is_set(tmp_path: Path) -> None:
    with open_site(tmp_path, public_url="https://reel.example/app") as site:
        uploaded = body(site.post("/upload", data=form()))

    assert uploaded["file_url"].startswith("https://reel.example/app/v1/uploads/")


def test_convert_takes_a_form_too(site: Site) -> None:
    filename = body(site.post("/upload", data=form()))["filename"]

    answer = site.post("/convert_and_transcribe", data={"filename": filename})

    assert answer.status_code == 202


@pytest.mark.parametrize(
    "filename",
    [
        "talk.wav",
        "/etc/passwd",
        "../../etc/passwd",
        "uploads/../web.sqlite",
        "uploads/" + "0" * 32 + "/talk.wav",
        "uploads/" + "0" * 32 + "/../../../web.sqlite",
        "uploads/" + "0" * 32 + "/\0",
        "jobs/x/y",
    ],
)
def test_convert_of_a_file_that_is_not_there_is_a_404(site: Site, filename: str) -> None:
    answer = site.post("/convert_and_transcribe", json={"filename": filename})

    assert problem(answer) == (404, "file_not_found")


def test_a_job_that_failed_says_why(site: Site) -> None:
    job_id = site.submit()
    site.fail(job_id)

    answer = site.get(f"/job_status/{job_id}")

    assert answer.status_code == 200
    assert body(answer) == {
        "status": "failed",
        "error": "The file holds no sound.",
        "code": "media_unusable",
    }


def test_a_cancelled_job_shows_as_failed_and_says_so(site: Site) -> None:
    job_id = site.submit()
    site.post(f"/v1/jobs/{job_id}/cancel")

    answer = site.get(f"/job_status/{job_id}")

    assert (answer.status_code, body(answer)["status"]) == (200, "failed")
    assert body(answer)["error"] == "The job was cancelled."


@pytest.mark.parametrize("job_id", ["0" * 26, "nonsense", "..", "%00", "x" * 300, "'; --"])
def test_the_status_of_no_job_is_a_404(site: Site, job_id: str) -> None:
    assert site.get(f"/job_status/{job_id}").status_code in (400, 404)


def test_one_upload_may_become_several_jobs(site: Site) -> None:
    filename = body(site.post("/upload", data=form()))["filename"]
    first, second = (
        body(site.post("/convert_and_transcribe", json={"filename": filename}))["job_id"]
        for _ in range(2)
    )

    site.client.delete(f"/v1/jobs/{first}", headers={"Authorization": KEY})

    assert first != second
    assert site.get(f"/v1/jobs/{second}/files/original").data == SOUND
