"""Keys, sessions, tokens: who gets in, who does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from proofreel.web.limits import FailureLimiter
from tests.web.helpers import AUTH, KEY, OLD_KEY, Site, body, form, open_site, problem

# The doors themselves, and what holds nothing of anybody's.
OPEN = {
    *("/health", "/health/ready", "/check_api_key", "/session"),
    *("/", "/jobs/<job_id>", "/favicon.ico"),
}
OPEN_PREFIXES = ("/openapi", "/assets/", "/static/")


def routes(site: Site) -> Iterator[tuple[str, Rule, str]]:
    """Every rule of the application with a method of its own and a path that fits it."""
    for rule in site.app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, rule, re.sub(r"<[^>]+>", "0" * 26, rule.rule)


def guarded(site: Site) -> Iterator[tuple[str, str]]:
    for method, rule, path in routes(site):
        if rule.rule not in OPEN and not rule.rule.startswith(OPEN_PREFIXES):
            yield method, path


def signed_in(site: Site, **request: str) -> tuple[FlaskClient, str]:
    """A browser that signed in, and the token its pages carry."""
    client = site.client
    answer = client.post("/session", data={"key": KEY}, **request)
    assert answer.status_code == 303
    with client.session_transaction() as session:
        return client, str(session["csrf"])


@pytest.mark.parametrize("header", [KEY, f"Bearer {KEY}", f"bearer  {KEY}", OLD_KEY])
def test_every_accepted_key_opens_with_and_without_bearer(site: Site, header: str) -> None:
    assert site.client.get("/v1/jobs", headers={"Authorization": header}).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", KEY[:-1], f"{KEY}x", "ÿ", "Basic x"])
def test_anything_else_in_the_header_is_refused(site: Site, header: str) -> None:
    answer = site.client.get("/v1/jobs", headers={"Authorization": header})

    assert problem(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_route_but_the_open_ones_needs_a_key(site: Site) -> None:
    checked = list(guarded(site))

    assert len(checked) >= 14
    for method, path in checked:
        assert site.client.open(path, method=method).status_code == 401, (method, path)


def test_every_mutating_route_refuses_a_session_without_its_token(site: Site) -> None:
    client, token = signed_in(site)
    unsafe = [(method, path) for method, path in guarded(site) if method != "GET"]

    assert len(unsafe) >= 8
    for method, path in unsafe:
        where = (method, path)
        bare = client.open(path, method=method)
        assert bare.status_code == 403, where
        wrong = client.open(path, method=method, headers={"X-CSRF-Token": token[:-1] + "?"})
        assert wrong.status_code == 403, where
        foreign = {"X-CSRF-Token": token, "Origin": "https://elsewhere.example"}
        assert client.open(path, method=method, headers=foreign).status_code == 403, where


def test_a_session_with_its_token_may_do_all_that_a_key_may(site: Site) -> None:
    client, token = signed_in(site)
    headers = {"X-CSRF-Token": token, "Origin": "http://localhost"}

    made = client.post("/v1/jobs", data=form(), headers=headers)
    listed = client.get("/v1/jobs")
    gone = client.delete(f"/v1/jobs/{body(made)['id']}", headers=headers)

    assert (made.status_code, listed.status_code, gone.status_code) == (202, 200, 204)


def test_a_header_key_needs_no_token(site: Site) -> None:
    assert site.post("/v1/jobs", data=form()).status_code == 202


def test_a_wrong_header_key_is_refused_even_beside_a_good_session(site: Site) -> None:
    client, _ = signed_in(site)

    answer = client.get("/v1/jobs", headers={"Authorization": "wrong"})

    assert problem(answer) == (401, "unauthorized")


def test_the_cookie_is_hidden_from_scripts_and_other_sites(site: Site) -> None:
    answer = site.client.post("/session", data={"key": KEY})

    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert KEY not in cookie


def test_the_cookie_is_secure_where_the_visit_is(tmp_path: Path) -> None:
    with open_site(tmp_path, public_url="https://reel.example") as site:
        direct = site.client.post("/session", data={"key": KEY}, base_url="https://here.example")
        proxied = site.client.post("/session", data={"key": KEY}, base_url="http://reel.example")

    assert "Secure" in direct.headers["Set-Cookie"]
    assert "Secure" in proxied.headers["Set-Cookie"]


def test_a_wrong_key_starts_no_session(site: Site) -> None:
    client = site.client

    answer = client.post("/session", data={"key": "wrong"})

    assert answer.status_code == 401
    assert client.get("/v1/jobs").status_code == 401


def test_another_sites_form_starts_no_session(site: Site) -> None:
    for origin in ("https://elsewhere.example", "null", "http://localhost.elsewhere.example"):
        answer = site.client.post("/session", data={"key": KEY}, headers={"Origin": origin})
        assert answer.status_code == 403, origin
        assert "Set-Cookie" not in answer.headers


def test_signing_out_ends_the_session(site: Site) -> None:
    client, token = signed_in(site)

    client.post("/session/delete", data={"csrf_token": token})

    assert client.get("/v1/jobs").status_code == 401


def test_a_session_ends_with_the_key_that_made_it(tmp_path: Path) -> None:
    with open_site(tmp_path) as site:
        client, _ = signed_in(site)
        cookie = client.get_cookie("proofreel_session")
        assert cookie is not None
    with open_site(tmp_path, api_keys=(OLD_KEY,)) as site:
        client = site.client
        client.set_cookie("proofreel_session", cookie.value)
        assert client.get("/v1/jobs").status_code == 401


def test_a_changed_cookie_is_no_session(site: Site) -> None:
    client, _ = signed_in(site)
    cookie = client.get_cookie("proofreel_session")
    assert cookie is not None
    middle = len(cookie.value) // 2
    other = "A" if cookie.value[middle] != "A" else "B"

    client.set_cookie(
        "proofreel_session", cookie.value[:middle] + other + cookie.value[middle + 1 :]
    )

    assert client.get("/v1/jobs").status_code == 401


def test_many_wrong_keys_are_told_to_wait_but_the_right_one_never_is(site: Site) -> None:
    client = site.client
    wrong = {"Authorization": "Bearer guess"}

    answers = [client.get("/v1/jobs", headers=wrong) for _ in range(30)]

    assert [answer.status_code for answer in answers[:20]] == [401] * 20
    assert problem(answers[-1]) == (429, "too_many_attempts")
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert client.get("/v1/jobs", headers=AUTH).status_code == 200
    assert client.post("/check_api_key", json={"api_key": "guess"}).status_code == 429
    assert client.post("/check_api_key", json={"api_key": KEY}).status_code == 200
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/v1/jobs", headers=wrong, environ_base=elsewhere).status_code == 401


def test_the_limiter_forgives_with_time() -> None:
    now = [0.0]
    limiter = FailureLimiter(burst=2, clock=lambda: now[0])

    waits = [limiter.note_failure("192.0.2.1") for _ in range(3)]
    now[0] += waits[-1]

    assert waits == [0, 0, 30]
    assert limiter.note_failure("192.0.2.1") == 0
    assert limiter.note_failure("192.0.2.1") > 0


def test_addresses_of_one_ipv6_network_share_a_bucket() -> None:
    limiter = FailureLimiter(burst=1, clock=lambda: 0.0)

    assert limiter.note_failure("2001:db8::1") == 0
    assert limiter.note_failure("2001:db8::ffff") > 0
    assert limiter.note_failure("2001:db8:0:1::1") == 0
    assert limiter.note_failure("192.0.2.1") == 0
    assert limiter.note_failure("::ffff:192.0.2.1") > 0


def test_the_limiter_forgets_the_oldest_of_very_many_addresses() -> None:
    limiter = FailureLimiter(burst=1, clock=lambda: 0.0)

    limiter.note_failure("192.0.2.1")
    for number in range(10_000):
        limiter.note_failure(f"10.0.{number // 256}.{number % 256}")

    assert limiter.note_failure("192.0.2.1") == 0
