"""The pages without a browser: who sees what, what is said, and that nothing of a stranger runs."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from proofreel.core.jobs import STAGES, Failure
from proofreel.web.assets import STATIC, assets_version
from proofreel.web.format import STAGE_WORDS
from proofreel.web.pages import PAGE_ROWS
from tests.transcripts import transcript
from tests.web.helpers import KEY, SOUND, Site, open_site
from tests.web.reviews import SPOKEN, complete_review, review_of

HOSTILE = "<img src=x onerror=alert(1)>.wav"


class Page(HTMLParser):
    """The text, the ids, the links and the form fields of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """Every `tag` that has these attributes; `_` in a name stands for `-`."""
        fits = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
        return [attrs for name, attrs in self.tags if name == tag and fits.items() <= attrs.items()]

    def one(self, tag: str, **wanted: str) -> dict[str, str]:
        found = self.all(tag, **wanted)
        assert len(found) == 1, f"{len(found)} of {tag} {wanted}"
        return found[0]


def visitor(site: Site) -> FlaskClient:
    client = site.client
    assert client.post("/session", data={"key": KEY}).status_code == 303
    return client


def page(client: FlaskClient, path: str, status: int = 200) -> Page:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == status, answer.text
    return Page(answer.text)


def token(client: FlaskClient) -> str:
    return page(client, "/").one("meta", name="csrf-token")["content"]


def test_a_visitor_without_a_key_sees_one_field_and_the_command_that_prints_the_key(
    site: Site,
) -> None:
    signin = page(site.client, "/")

    field = signin.one("input", type="password")
    assert field["name"] == "key"
    assert signin.all("label", for_=field["id"])
    assert "proofreel doctor --show-key" in signin.text
    assert not signin.all("meta", name="csrf-token")


def test_a_wrong_key_is_said_at_the_field(site: Site) -> None:
    answer = site.client.post("/session", data={"key": "not it"})

    said = Page(answer.text)
    field = said.one("input", type="password")
    assert answer.status_code == 401
    assert field["aria-invalid"] == "true"
    assert "key-error" in field["aria-describedby"].split()
    assert said.one("p", id="key-error")
    assert "That is not the key of this server" in said.text


def test_too_many_wrong_keys_are_said_at_the_field_too(site: Site) -> None:
    client = site.client
    for _ in range(25):
        answer = client.post("/session", data={"key": "not it"})

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Too many wrong keys" in Page(answer.text).text


def test_signing_in_leads_to_the_page_that_was_asked_for(site: Site) -> None:
    job_id = site.submit()
    wanted = page(site.client, f"/jobs/{job_id}").one("input", name="next")["value"]

    answer = site.client.post("/session", data={"key": KEY, "next": wanted})

    assert answer.headers["Location"] == f"/jobs/{job_id}"


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/jobs/../x", "/\\evil.example", "", "x"]
)
def test_signing_in_never_leads_to_another_site(site: Site, target: str) -> None:
    answer = site.client.post("/session", data={"key": KEY, "next": target})

    assert answer.headers["Location"] == "/"


def test_signing_out_needs_the_token_and_ends_the_session(site: Site) -> None:
    client = visitor(site)

    assert client.post("/session/delete", data={"csrf_token": "wrong"}).status_code == 403
    assert client.post("/session/delete", data={"csrf_token": token(client)}).status_code == 303
    assert page(client, "/").one("input", type="password")


def test_an_empty_list_offers_the_sample_and_one_click_sends_it_through(
    tmp_path: Path,
) -> None:
    sample = tmp_path / "sample.wav"
    sample.write_bytes(SOUND)
    with open_site(tmp_path, sample=sample) as site:
        client = visitor(site)
        assert "Try the sample recording" in page(client, "/").text

        answer = client.post("/sample", data={"csrf_token": token(client)})

        job = site.services.jobs.list().items[0]
        assert answer.headers["Location"] == f"/jobs/{job.id}"
        assert job.name == "sample.wav"
        assert site.services.storage.read_bytes(job.source) == SOUND


def test_without_a_sample_none_is_offered(site: Site) -> None:
    client = visitor(site)

    assert "Try the sample" not in page(client, "/").text
    assert client.post("/sample", data={"csrf_token": token(client)}).status_code == 404


def test_a_row_tells_name_length_language_tape_and_what_was_found(site: Site) -> None:
    complete_review(site, site.submit(name="lecture.wav"))

    home = page(visitor(site), "/")

    for words in ("lecture.wav", "9.5 s", "English", "1 silence", "1 retake", "1 flag"):
        assert words in home.text
    assert home.all("path", class_="tape-wave")


def test_a_row_of_a_running_job_says_what_is_done_and_how_far(site: Site) -> None:
    job_id = site.submit()
    site.ledger.start(job_id, 1, "transcribe", 41)

    home = page(visitor(site), "/")

    assert "Transcribing, 41 %" in home.text
    assert home.one("progress", class_="bar", value="41")["max"] == "100"


def test_the_newest_recording_comes_first_and_the_rest_behind_show_more(site: Site) -> None:
    for number in range(PAGE_ROWS + 2):
        site.submit(name=f"take {number}.wav")
    client = visitor(site)

    first = page(client, "/")
    second = page(client, first.one("a", id="more")["href"])

    assert len(first.all("li", class_="row")) == PAGE_ROWS
    assert first.text.index("take 51.wav") < first.text.index("take 50.wav")
    assert [row["data-say"] for row in second.all("li", class_="row")] == [
        "take 1.wav: Waiting.",
        "take 0.wav: Waiting.",
    ]
    assert not second.all("a", id="more")


def test_search_and_state_narrow_the_list_and_stay_in_the_form(site: Site) -> None:
    complete_review(site, site.submit(name="Alpha.wav"))
    site.submit(name="alpha two.wav")
    site.submit(name="beta.wav")
    client = visitor(site)

    found = page(client, "/?q=ALPHA&status=completed")

    assert len(found.all("li", class_="row")) == 1
    assert found.one("input", name="q")["value"] == "ALPHA"
    assert "selected" in found.one("option", value="completed")
    assert "No recording fits" in page(client, "/?q=gamma").text


def test_a_completed_job_lists_its_findings_in_plain_words_and_order_of_time(site: Site) -> None:
    job_id = site.submit()
    complete_review(site, job_id)

    shown = page(visitor(site), f"/jobs/{job_id}")

    findings = shown.all("li", class_="finding")
    assert [(one["data-kind"], one["data-start"], one["data-end"]) for one in findings] == [
        ("Filler", "600", "900"),
        ("silence", "1800", "5800"),
        ("retake", "5800", "8500"),
    ]
    assert "Silence, 4 s" in shown.text
    assert "Keep the second: the last complete take" in shown.text
    assert len(shown.all("button", class_="take-play")) == 2
    assert [one["data-filter"] for one in shown.all("button", class_="filter")] == [
        "all",
        "retake",
        "silence",
        "Filler",
    ]


def test_a_completed_job_offers_its_files_with_what_each_is_for(site: Site) -> None:
    job_id = site.submit(name="lecture.wav")
    complete_review(site, job_id)
    client = visitor(site)

    shown = page(client, f"/jobs/{job_id}")

    links = [link["href"] for link in shown.all("a") if "/files/" in link["href"]]
    assert "Subtitles, for YouTube and Premiere" in shown.text
    assert len(links) >= 7
    for link in links:
        assert client.get(link).status_code == 200


def test_the_player_tries_copies_that_browsers_play_before_the_original(site: Site) -> None:
    job_id = site.submit(name="talk.mkv")
    site.complete(job_id)

    shown = page(visitor(site), f"/jobs/{job_id}")

    assert [(one["src"], one.get("type")) for one in shown.all("source")] == [
        (f"/v1/jobs/{job_id}/files/talk_audio.wav?inline=1", "audio/wav"),
        (f"/v1/jobs/{job_id}/files/original?inline=1", None),
    ]
    assert shown.one("track", kind="captions")["src"].endswith("talk.vtt")


def test_a_running_job_shows_every_stage_and_which_are_done(site: Site) -> None:
    job_id = site.submit()
    site.ledger.start(job_id, 1, "transcribe", 41)

    shown = page(visitor(site), f"/jobs/{job_id}")

    states = [
        attrs["class"].split()[-1]
        for tag, attrs in shown.tags
        if tag == "li" and attrs.get("class", "").startswith("stage ")
    ]
    assert states == ["stage-done", "stage-done", "stage-now"] + ["stage-to-come"] * 5
    assert shown.one("li", aria_current="step")
    assert shown.one("button", data_act="cancel")["data-job"] == job_id


def test_every_stage_has_words() -> None:
    assert set(STAGE_WORDS) == set(STAGES)


@pytest.mark.parametrize(
    ("failure", "next_step", "retry"),
    [
        (Failure("media_unusable", "The file holds no sound.", False), "Export the", False),
        (Failure("speech_failed", "Recognition stopped.", True), "Try again; the same", True),
        (Failure("model_missing", "There is no model.", False), "proofreel doctor", True),
    ],
)
def test_a_failed_job_says_what_happened_what_it_means_and_the_next_step(
    site: Site, failure: Failure, next_step: str, retry: bool
) -> None:
    job_id = site.submit()
    site.ledger.fail(job_id, 1, failure, None)

    shown = page(visitor(site), f"/jobs/{job_id}")

    assert failure.message in shown.text
    assert "The recording is still here" in shown.text
    assert next_step in shown.text
    assert bool(shown.all("button", data_act="retry")) is retry


def test_a_report_that_cannot_be_read_leaves_the_rest_of_the_page(site: Site) -> None:
    job_id = site.submit()
    job = complete_review(site, job_id)
    assert job.result is not None
    stored = job.result.artifact("report_json")
    assert stored is not None
    site.services.storage.put_bytes(stored.ref.key, b'{"version": 1, "silences": 3}')

    shown = page(visitor(site), f"/jobs/{job_id}")

    assert "cannot be read any more" in shown.text
    assert shown.one("div", id="transcript")


@pytest.mark.parametrize("fragment", ["row", "panel"])
def test_fragments_need_a_session(site: Site, fragment: str) -> None:
    job_id = site.submit()

    assert site.client.get(f"/jobs/{job_id}/{fragment}").status_code == 401
    assert visitor(site).get(f"/jobs/{job_id}/{fragment}").status_code == 200


def test_the_panel_has_the_parts_of_the_page_that_change(site: Site) -> None:
    job_id = site.submit()
    client = visitor(site)

    panel, whole = page(client, f"/jobs/{job_id}/panel"), page(client, f"/jobs/{job_id}")

    for part in ("job-head", "reel-tape", "job-desk"):
        assert sum(attrs.get("id") == part for _, attrs in panel.tags) == 1
        assert sum(attrs.get("id") == part for _, attrs in whole.tags) == 1
    assert not panel.all("video")


def test_nothing_from_outside_becomes_markup(site: Site) -> None:
    report = review_of(SPOKEN)
    evil = "<script>alert(1)</script>"
    takes = tuple(replace(take, text=evil) for take in report.repeats[0].occurrences)
    report = replace(
        report,
        repeats=(replace(report.repeats[0], occurrences=takes),),
        flags=(replace(report.flags[0], text=evil, reason=evil),),
    )
    job_id = site.submit()
    complete_review(site, job_id, transcript(evil, 9.0), report)
    failed = site.submit(name=HOSTILE)
    site.ledger.fail(failed, 1, Failure("x", evil, False), None)
    client = visitor(site)

    for path in ("/", f"/jobs/{job_id}", f"/jobs/{failed}", f"/?q={HOSTILE}"):
        shown = page(client, path)
        assert not shown.all("img")
        assert all(script["src"].startswith("/assets/") for script in shown.all("script"))
    assert evil in page(client, f"/jobs/{job_id}").text


def test_pages_have_no_inline_script_style_or_handler(site: Site) -> None:
    job_id, waiting = site.submit(), site.submit()
    complete_review(site, job_id)
    client = visitor(site)

    for path in ("/", f"/jobs/{job_id}", f"/jobs/{waiting}", "/jobs/none"):
        shown = Page(client.get(path, headers={"Accept": "text/html"}).text)
        for tag, attrs in shown.tags:
            assert tag != "style"
            assert "style" not in attrs, (path, tag)
            assert not [name for name in attrs if name.startswith("on")], (path, tag)
            assert tag != "script" or attrs["src"]


def test_names_are_shown_without_marks_that_turn_them_round(site: Site) -> None:
    job_id = site.submit(name="a\u202egpj.wav")

    shown = page(visitor(site), f"/jobs/{job_id}")

    assert "\u202e" not in shown.text
    assert shown.one("bdi", class_="name")["title"] == "agpj.wav"


def test_a_missing_job_gets_a_page_that_leads_back(site: Site) -> None:
    shown = page(visitor(site), "/jobs/00000000000000000000000000", 404)

    assert "This is not here" in shown.text
    assert shown.one("a", class_="button button-main", href="/")


def test_assets_are_kept_for_a_year_under_their_version_and_checked_under_any_other(
    site: Site,
) -> None:
    client = site.client
    named = {attrs["src"] for attrs in page(client, "/").all("script")}

    for path in named:
        answer = client.get(path, buffered=True)
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert answer.headers["ETag"]
        stale = client.get(path.replace(assets_version(), "0123456789ab"), buffered=True)
        assert stale.status_code == 200
        assert stale.headers["Cache-Control"] == "no-cache"


def test_assets_do_not_lead_out_of_their_folder(site: Site) -> None:
    for name in ("../pages.py", "%2e%2e/pages.py", "/etc/passwd", "js/../../pages.py"):
        path = f"/assets/{assets_version()}/{name}"
        assert site.client.get(path, follow_redirects=True).status_code == 404


def test_every_module_that_a_script_imports_is_there_and_nothing_comes_from_elsewhere() -> None:
    scripts = sorted((STATIC / "js").glob("*.js"))

    assert len(scripts) >= 10
    for script in scripts:
        source = script.read_text(encoding="utf-8")
        for name in re.findall(r'from "([^"]+)"', source):
            assert name.startswith("./"), (script.name, name)
            assert (script.parent / name).is_file(), (script.name, name)
        assert not re.search(r"https?://", source), script.name
    for sheet in (STATIC / "css").glob("*.css"):
        assert not re.search(r"https?://|@import|url\(", sheet.read_text(encoding="utf-8"))
