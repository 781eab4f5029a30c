"""Files of a job: names, ranges, conditions, and what a browser may do with them."""

from __future__ import annotations

from email.message import Message
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header
from werkzeug.test import TestResponse

from proofreel.core.disposition import disposition
from tests.web.helpers import AUTH, FILES, SOUND, Site, problem, sha256

PREVIEW = FILES["preview_audio"]
SIZE = len(PREVIEW)


@pytest.fixture
def site(any_site: Site) -> Site:
    """Every test here runs over every storage."""
    return any_site


@pytest.fixture
def base(site: Site) -> str:
    """Where the files of a completed job are."""
    job_id = site.submit()
    site.complete(job_id)
    return f"/v1/jobs/{job_id}/files"


def part(site: Site, base: str, header: str, **headers: str) -> TestResponse:
    return site.get(f"{base}/preview_audio", headers={"Range": header, **headers})


def filename(header: str) -> str:
    """Read a Content-Disposition as a strict client does."""
    assert all(char.isascii() and char.isprintable() for char in header)
    message = Message(policy=HTTP)
    message["Content-Disposition"] = header
    assert message.get_content_disposition() in ("attachment", "inline")
    kind, options = parse_options_header(header)
    assert kind in ("attachment", "inline")
    assert set(options) == {"filename"}
    return options["filename"]


def test_every_file_is_found_by_its_kind_and_by_its_name(site: Site, base: str) -> None:
    for kind, data in FILES.items():
        answer = site.get(f"{base}/{kind}")
        assert answer.data == data
        assert answer.headers["ETag"] == f'"{sha256(data)}"'
        assert site.get(f"{base}/{filename(answer.headers['Content-Disposition'])}").data == data


def test_the_recording_itself_is_the_file_original(site: Site, base: str) -> None:
    assert site.get(f"{base}/original").data == SOUND
    assert site.get(f"{base}/talk.wav").data == SOUND


def test_the_recording_is_there_before_the_job_is_done(site: Site) -> None:
    assert site.get(f"/v1/jobs/{site.submit()}/files/original").data == SOUND


@pytest.mark.parametrize(
    "wanted",
    ["nothing", "..", "../talk.srt", "..%2f..%2fweb.sqlite", "%2e%2e%2fweb.sqlite", "talk.srt%00"],
)
def test_no_other_name_leads_anywhere(site: Site, base: str, wanted: str) -> None:
    assert site.get(f"{base}/{wanted}").status_code in (404, 405)


def test_files_of_no_job_are_not_found(site: Site) -> None:
    answer = site.get(f"/v1/jobs/{'0' * 26}/files/srt")

    assert problem(answer) == (404, "job_not_found")


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-199", 100, 200),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes=0-", 0, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        (f"bytes=-{SIZE}", 0, SIZE),
        (f"bytes=10-{SIZE * 9}", 10, SIZE),
    ],
)
def test_a_range_gives_just_those_bytes(
    site: Site, base: str, header: str, start: int, stop: int
) -> None:
    answer = part(site, base, header)

    assert answer.status_code == 206
    assert answer.data == PREVIEW[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", f"bytes={SIZE * 2}-{SIZE * 3}"])
def test_a_range_beyond_the_end_is_a_416(site: Site, base: str, header: str) -> None:
    answer = part(site, base, header)

    assert problem(answer) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "header",
    ["bytes=0-1,5-6", f"bytes=-{SIZE + 1}", "lines=1-2", "bytes", "bytes=b-a", "bytes=9-1", ""],
)
def test_a_range_that_is_not_served_gives_the_whole_file(
    site: Site, base: str, header: str
) -> None:
    answer = part(site, base, header)

    assert answer.status_code == 200
    assert answer.data == PREVIEW
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_a_range_of_another_version_gives_the_whole_file(site: Site, base: str) -> None:
    fresh = part(site, base, "bytes=0-1", **{"If-Range": f'"{sha256(PREVIEW)}"'})
    stale = part(site, base, "bytes=0-1", **{"If-Range": '"another"'})

    assert (fresh.status_code, fresh.data) == (206, PREVIEW[:2])
    assert (stale.status_code, stale.data) == (200, PREVIEW)


def test_a_file_that_the_client_has_is_not_sent_again(site: Site, base: str) -> None:
    etag = f'"{sha256(PREVIEW)}"'

    same = site.get(f"{base}/preview_audio", headers={"If-None-Match": etag})
    other = site.get(f"{base}/preview_audio", headers={"If-None-Match": '"another"'})

    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", etag)
    assert other.status_code == 200


def test_head_tells_all_but_sends_nothing(site: Site, base: str) -> None:
    headers = dict(AUTH)

    whole = site.client.head(f"{base}/preview_audio", headers=headers)
    some = site.client.head(f"{base}/preview_audio", headers=headers | {"Range": "bytes=0-9"})
    none = site.client.head(f"{base}/nothing", headers=headers)

    assert (whole.status_code, whole.data) == (200, b"")
    assert whole.headers["Content-Length"] == str(SIZE)
    assert (some.status_code, some.headers["Content-Length"]) == (206, "10")
    assert none.status_code == 404


def test_a_file_whose_bytes_are_gone_is_a_404(site: Site) -> None:
    job_id = site.submit()
    site.complete(job_id)
    site.services.storage.delete_prefix(f"jobs/{job_id}")
    path = f"/v1/jobs/{job_id}/files/srt"

    assert problem(site.get(path)) == (404, "file_not_found")
    assert site.client.head(path, headers=AUTH).status_code == 404


def test_only_sound_and_pictures_and_the_report_are_shown_inline(site: Site, base: str) -> None:
    shown = {
        kind: site.get(f"{base}/{kind}?inline=1").headers["Content-Disposition"].split(";")[0]
        for kind in (*FILES, "original")
    }

    inline = {kind for kind, how in shown.items() if how == "inline"}
    assert inline == {"preview_audio", "original", "report_html"}
    saved = site.get(f"{base}/original").headers["Content-Disposition"]
    assert saved == 'attachment; filename="talk.wav"'


def test_the_report_can_run_nothing_and_reach_nothing(site: Site, base: str) -> None:
    policy = site.get(f"{base}/report_html?inline=1").headers["Content-Security-Policy"]

    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow-scripts" not in policy
    assert "script-src" not in policy


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.xhtml", "x.js", "x.pdf", "x", "x.mp3.htm"])
def test_an_upload_is_never_served_as_something_that_runs(site: Site, name: str) -> None:
    job_id = site.submit(b"<script>alert(1)</script>", name)

    answer = site.get(f"/v1/jobs/{job_id}/files/original?inline=1")

    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@given(st.text(max_size=80))
def test_no_name_breaks_out_of_the_header(name: str) -> None:
    read = filename(disposition(name, inline=False))

    assert read
    assert not set(read) & set('/\\"\r\n\0')


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("lecture.srt", "lecture.srt"),
        ('a";b=c;.srt', "a_;b=c;.srt"),
        ("a\r\nSet-Cookie: x=1.srt", "aSet-Cookie: x=1.srt"),
        ("Vorträge – 日本語.srt", "Vorträge – 日本語.srt"),
        ("100% 'x'; filename=y.srt", "100% 'x'; filename=y.srt"),
        ("evil\u202egpj.srt", "evilgpj.srt"),
        ("../../x.srt", ".._.._x.srt"),
    ],
)
def test_names_arrive_as_they_are_less_what_is_dangerous(name: str, read: str) -> None:
    assert filename(disposition(name, inline=True)) == read
