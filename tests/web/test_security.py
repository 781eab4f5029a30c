"""What every response carries, and what never gets out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from proofreel.web.security import HEADERS
from tests.web.helpers import AUTH, KEY, OLD_KEY, Site, body, form, open_site
from tests.web.test_auth import routes, signed_in

XSS = '<img src=x onerror="alert(1)">\'";</script><script>alert(2)</script>.mp3'


def check_headers(answer: TestResponse, where: object) -> None:
    for name in HEADERS:
        assert len(answer.headers.getlist(name)) == 1, (where, name)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy, where
    assert "frame-ancestors 'none'" in policy, where
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", ""), where
    assert answer.headers["X-Content-Type-Options"] == "nosniff", where
    assert answer.headers["X-Frame-Options"] == "DENY", where
    assert answer.headers["Referrer-Policy"] == "no-referrer", where
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", where
    assert answer.headers["X-Request-Id"], where
    assert "Access-Control-Allow-Origin" not in answer.headers, where


def test_every_route_carries_the_headers_with_and_without_a_key(site: Site) -> None:
    browser, token = signed_in(site)
    checked = 0
    for method, _, path in routes(site):
        for headers in ({}, AUTH, {"Accept": "text/html"}):
            check_headers(site.client.open(path, method=method, headers=headers), (method, path))
        if path != "/session/delete":
            answer = browser.open(path, method=method, headers={"X-CSRF-Token": token})
            check_headers(answer, (method, path))
        checked += 1
    assert checked >= 20


def test_failures_and_files_and_streams_carry_the_headers(site: Site) -> None:
    job_id = site.submit()
    site.complete(job_id)
    files = f"/v1/jobs/{job_id}/files"
    for path in ("/nothing", files + "/srt", files + "/report_html", files[:-6] + "/events"):
        check_headers(site.get(path), path)
    check_headers(site.get(files + "/original", headers={"Range": "bytes=99-"}), 416)
    check_headers(site.get(files + "/original", headers={"Range": "bytes=1-2"}), 206)
    check_headers(site.client.put("/health"), 405)
    check_headers(site.client.options("/upload"), "options")


def test_answers_with_data_are_not_kept_by_caches(site: Site) -> None:
    job_id = site.submit()
    for path in ("/v1/jobs", f"/v1/jobs/{job_id}", f"/job_status/{job_id}", "/health"):
        assert site.get(path).headers["Cache-Control"] == "no-store"
    private = site.get(f"/v1/jobs/{job_id}/files/original").headers["Cache-Control"]
    assert private == "private, no-cache"


def test_browsers_are_told_to_stay_on_https_only_where_they_are(tmp_path: Path) -> None:
    with open_site(tmp_path, public_url="https://reel.example") as site:
        plain = site.client.get("/health")
        direct = site.client.get("/health", base_url="https://localhost")
        proxied = site.client.get("/health", base_url="http://reel.example")

    assert "Strict-Transport-Security" not in plain.headers
    assert direct.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert proxied.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_request_id_from_a_proxy_is_kept_if_it_is_harmless(site: Site) -> None:
    kept = site.client.get("/health", headers={"X-Request-Id": "abc-DEF_12345"})
    long = site.client.get("/health", headers={"X-Request-Id": "x" * 65})
    odd = site.client.get("/health", headers={"X-Request-Id": "a b\x1b[31m<script>"})

    assert kept.headers["X-Request-Id"] == "abc-DEF_12345"
    assert len(long.headers["X-Request-Id"]) == 16
    assert len(odd.headers["X-Request-Id"]) == 16


def test_logs_have_one_line_per_request_and_never_a_key(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    browser, token = signed_in(site)
    capsys.readouterr()

    site.get("/v1/jobs?q=hidden-search")
    site.client.get("/v1/jobs", headers={"Authorization": "Bearer guessed-key"})
    site.client.post("/check_api_key", json={"api_key": OLD_KEY})
    site.post("/v1/jobs", data=form(), headers={"Idempotency-Key": "k"})
    browser.post("/v1/jobs", headers={"X-CSRF-Token": token})
    logged = capsys.readouterr().out

    assert logged.count("] request ") == 5
    assert "route=/v1/jobs" in logged
    for secret in (KEY, OLD_KEY, "guessed-key", "hidden-search", token):
        assert secret not in logged


def test_hostile_names_are_data_everywhere(site: Site) -> None:
    job_id = site.submit(name=XSS)
    site.complete(job_id)
    browser, _ = signed_in(site)
    for path in (
        f"/v1/jobs/{job_id}",
        f"/job_status/{job_id}",
        f"/v1/jobs/{job_id}/files/original",
        f"/v1/jobs/{job_id}/events",
    ):
        answer = site.get(path)
        assert not answer.headers["Content-Type"].startswith("text/html"), path
        assert all(char.isprintable() for char in str(answer.headers).replace("\r\n", ""))
    assert json.loads(site.get(f"/v1/jobs/{job_id}").text)["id"] == job_id
    for path in ("/", f"/jobs/{job_id}"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "<img src=x" not in page.text
        assert "alert(2)</script>" not in page.text


def test_no_other_site_may_read_an_answer(site: Site) -> None:
    for origin in ("https://elsewhere.example", "null", "http://localhost"):
        headers = AUTH | {"Origin": origin, "Access-Control-Request-Method": "POST"}
        for answer in (
            site.client.get("/v1/jobs", headers=headers),
            site.client.options("/v1/jobs", headers=headers),
        ):
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_a_key_is_shown_nowhere(site: Site) -> None:
    browser, _ = signed_in(site)
    site.submit()

    for path in ("/", "/v1/jobs", "/health", "/openapi/openapi.json", "/nothing"):
        assert KEY not in browser.get(path).text
    assert KEY not in repr(site.services)
    assert body(site.get("/v1/jobs"))["jobs"]
