"""What clients see of a service whose files lie in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from proofreel.adapters.s3.client import S3Settings
from proofreel.adapters.s3.storage import S3Storage
from tests.s3.bucket import client, fresh_bucket
from tests.web.helpers import FILES, SOUND, Site, body, form, open_site, problem


@pytest.fixture
def bucket() -> S3Settings:
    return fresh_bucket()


@pytest.fixture
def site(bucket: S3Settings, tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path, S3Storage(bucket)) as opened:
        yield opened


def test_links_of_a_finished_job_open_without_a_key(site: Site) -> None:
    job_id = site.submit(name="Vorlesung 3 – Möbius.wav")
    site.complete(job_id)

    found = body(site.get(f"/job_status/{job_id}"))

    assert httpx.get(found["original_file_url"]).content == SOUND
    answer = httpx.get(found["srt_url"])
    assert answer.content == FILES["srt"]
    assert "filename*=UTF-8''Vorlesung" in answer.headers["content-disposition"]


def test_the_link_of_an_upload_opens_without_a_key(site: Site) -> None:
    uploaded = body(site.post("/upload", data=form()))

    answer = httpx.get(uploaded["file_url"])

    assert (answer.content, answer.headers["content-type"]) == (SOUND, "audio/wav")


def test_the_page_and_v1_keep_to_the_service(site: Site) -> None:
    job_id = site.submit()
    site.complete(job_id)

    files = body(site.get(f"/v1/jobs/{job_id}"))["result"]["files"]

    for file in files:
        assert urlsplit(file["url"]).netloc == "localhost"
        assert site.get(urlsplit(file["url"]).path).status_code == 200


@pytest.mark.parametrize("key", ["Möbius – Vorlesung 3 (final).mp4", "uploads/2026/day 1/a+b.wav"])
def test_any_object_of_the_bucket_becomes_a_job_by_its_key(
    site: Site, bucket: S3Settings, key: str
) -> None:
    client().put_object(Bucket=bucket.bucket, Key=key, Body=SOUND)

    answer = site.post("/convert_and_transcribe", json={"filename": key})

    assert answer.status_code == 202
    job = site.services.jobs.get(body(answer)["job_id"])
    assert job.name == key.rpartition("/")[2]
    assert site.get(f"/v1/jobs/{job.id}/files/original").data == SOUND


def test_deleting_a_job_leaves_somebody_elses_recording_and_its_neighbours(
    site: Site, bucket: S3Settings
) -> None:
    theirs = ["uploads/0123456789abcdef0123456789abcdef/talk.wav", "uploads/2026/talk.wav"]
    neighbours = [key.replace("talk", "other") for key in theirs]
    for key in (*theirs, *neighbours):
        client().put_object(Bucket=bucket.bucket, Key=key, Body=SOUND)
    for key in theirs:
        answer = site.post("/convert_and_transcribe", json={"filename": key})

        site.services.jobs.delete(body(answer)["job_id"])

    assert site.stored() == {*theirs, *neighbours}


@pytest.mark.parametrize("key", ["../{}/talk.wav", "a/../../{}/talk.wav", "./talk.wav", ""])
def test_no_name_leads_out_of_the_bucket(site: Site, key: str) -> None:
    other = fresh_bucket().bucket
    client().put_object(Bucket=other, Key="talk.wav", Body=SOUND)

    answer = site.post("/convert_and_transcribe", json={"filename": key.format(other)})

    assert problem(answer)[0] in (400, 404)


def test_an_object_above_the_limit_is_refused(site: Site, bucket: S3Settings) -> None:
    size_bytes = site.services.max_upload_bytes + 1
    client().put_object(Bucket=bucket.bucket, Key="long.wav", Body=b"x" * size_bytes)

    answer = site.post("/convert_and_transcribe", json={"filename": "long.wav"})

    assert problem(answer) == (413, "file_too_large")


def test_a_bucket_that_is_gone_is_told_in_a_sentence(site: Site, bucket: S3Settings) -> None:
    client().delete_bucket(Bucket=bucket.bucket)

    answer = site.post("/upload", data=form())

    assert problem(answer) == (500, "storage_misconfigured")
    assert "S3_BUCKET" in body(answer)["error"]
