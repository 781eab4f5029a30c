"""Every failure has a status, a sentence and a word, and tells nothing it should not."""

from __future__ import annotations

import pickle

import pytest
from flask import request
from werkzeug.exceptions import ImATeapot

from proofreel.adapters.database import DatabaseUnavailable
from proofreel.adapters.storage import (
    ObjectMissing,
    StorageFull,
    StorageUnavailable,
    UploadTooLarge,
)
from proofreel.core.job_errors import BadCursor, IdempotencyMismatch, JobNotFound, JobStateConflict
from proofreel.errors import MediaError, Misconfigured, ProofreelError, TimeLimitExceeded
from proofreel.web.errors import (
    BadRequest,
    CsrfFailed,
    NoSuchThing,
    StorageLow,
    TooManyAttempts,
    Unauthorized,
    WrongOrigin,
    http_status,
)
from proofreel.web.events import TooManyStreams
from tests.web.helpers import AUTH, KEY, Site, body, problem

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequest("No."), 400),
        (MediaError("No."), 400),
        (BadCursor(), 400),
        (Unauthorized(), 401),
        (CsrfFailed(), 403),
        (WrongOrigin(), 403),
        (JobNotFound(), 404),
        (ObjectMissing("k"), 404),
        (NoSuchThing("No."), 404),
        (JobStateConflict("cancelled", "completed"), 409),
        (UploadTooLarge(5), 413),
        (IdempotencyMismatch(), 422),
        (TooManyAttempts(7), 429),
        (Misconfigured("No."), 500),
        (TimeLimitExceeded("wait", 5), 500),
        (DatabaseUnavailable("secret address"), 503),
        (StorageUnavailable("store a file", "secret path"), 503),
        (TooManyStreams(), 503),
        (StorageFull(), 507),
        (StorageLow(), 507),
    ],
)
def test_every_error_has_its_status_and_says_only_its_sentence(
    site: Site, error: ProofreelError, status: int
) -> None:
    def fail() -> str:
        raise error

    site.app.add_url_rule("/v1/fail", view_func=fail)
    answer = site.get("/v1/fail")

    assert http_status(error) == status
    assert problem(answer) == (status, error.code)
    assert body(answer)["error"] == str(error)
    assert "secret" not in answer.text
    assert ("Retry-After" in answer.headers) == (status in (429, 503, 507))


@pytest.mark.parametrize(
    "error",
    [
        BadRequest("It is wrong.", "some_code"),
        NoSuchThing("It is not there.", "some_code"),
        TooManyAttempts(7),
        Unauthorized(),
        CsrfFailed(),
        WrongOrigin(),
        StorageLow(),
        TooManyStreams(),
    ],
)
def test_errors_survive_pickling(error: ProofreelError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # made here

    assert (type(copy), str(copy), copy.code) == (type(error), str(error), error.code)
    assert vars(copy) == vars(error)


def test_a_bug_of_ours_is_a_500_that_names_the_request_and_nothing_else(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> str:
        held = request.headers["Authorization"]
        raise RuntimeError(f"the secret inside, {len(held)}")

    site.app.add_url_rule("/v1/fail", view_func=fail)
    answer = site.get("/v1/fail")

    assert problem(answer) == (500, "internal_error")
    assert body(answer)["request_id"] == answer.headers["X-Request-Id"]
    assert "secret" not in answer.text
    logged = capsys.readouterr().out
    assert "the secret inside" in logged
    assert body(answer)["request_id"] in logged
    assert KEY not in logged


def test_an_unknown_address_is_a_404_and_a_wrong_method_a_405(site: Site) -> None:
    unknown = site.client.get("/nothing/here")
    wrong = site.client.put("/upload")

    assert problem(unknown) == (404, "not_found")
    assert problem(wrong) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["Allow"]


def test_any_other_http_failure_has_the_same_form(site: Site) -> None:
    def fail() -> str:
        raise ImATeapot

    site.app.add_url_rule("/v1/fail", view_func=fail)

    assert problem(site.get("/v1/fail")) == (418, "i'm_a_teapot")


def test_people_get_a_page_and_programs_get_json(site: Site) -> None:
    page = site.client.get("/nothing/here", headers=BROWSER)
    curl = site.client.get("/nothing/here", headers={"Accept": "*/*"})
    script = site.client.get("/nothing/here", headers={"Accept": "application/json"})

    assert page.status_code == 404
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "There is nothing at this address." in page.text
    assert curl.is_json
    assert script.is_json


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/none"),
        ("GET", "/v1/nothing"),
        ("GET", "/job_status/none"),
        ("GET", "/upload"),
        ("POST", "/convert_and_transcribe"),
        ("POST", "/check_api_key"),
        ("DELETE", "/health"),
    ],
)
def test_the_api_answers_in_json_whoever_asks(site: Site, method: str, path: str) -> None:
    answer = site.client.open(path, method=method, headers=AUTH | BROWSER)

    assert answer.is_json
    assert answer.status_code >= 400


def test_what_a_page_of_failure_repeats_is_escaped(site: Site) -> None:
    def fail() -> str:
        raise NoSuchThing("<script>alert(1)</script>")

    site.app.add_url_rule("/static/fail", view_func=fail, endpoint="fail")
    answer = site.client.get("/static/fail", headers=AUTH | BROWSER)

    assert answer.status_code == 404
    assert "<script>alert" not in answer.text
