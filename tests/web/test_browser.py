"""The pages in a real Chromium over a real server: what people do, and what they then see."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.base import AXE_SCRIPT
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Page,
    Playwright,
    Route,
    expect,
    sync_playwright,
)
from werkzeug.serving import make_server

from proofreel.core.jobs import Failure
from proofreel.core.model import Report
from tests.speech_samples import noise, tone, write_wav
from tests.transcripts import transcript
from tests.web.helpers import KEY, Site, form, open_site
from tests.web.reviews import complete_review

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="There is no Chromium on PATH: on Debian and Ubuntu, apt install chromium",
    ),
]
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
WIDE, PHONE = (1280, 800), (320, 640)
EVIL = "<img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Desk:
    """A served application and a signed-in browser in front of it."""

    site: Site
    url: str
    context: BrowserContext
    page: Page
    sound: Path
    complaints: list[str]

    def submit(self, name: str = "talk.wav") -> str:
        return self.site.submit(self.sound.read_bytes(), name)

    def reviewed(self, name: str = "talk.wav") -> str:
        job_id = self.submit(name)
        complete_review(self.site, job_id)
        return job_id

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.url + path)
        return self.page


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
    yield opened
    opened.close()


@contextmanager
def served(site: Site) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def desk(browser: Browser, tmp_path: Path) -> Iterator[Desk]:
    sound = write_wav(tmp_path / "talk.wav", noise(9.5, level_dbfs=-30))
    with open_site(tmp_path, sample=sound) as site, served(site) as url:
        context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
        complaints: list[str] = []
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: _dismissed(complaints, dialog))
        page.on("console", lambda message: _complain(complaints, message.text))
        sign_in(page, url)
        yield Desk(site, url, context, page, sound, complaints)
        context.close()
        assert complaints == []


def _complain(complaints: list[str], text: str) -> None:
    if "Content Security Policy" in text:
        complaints.append(text)


def _dismissed(complaints: list[str], dialog: Dialog) -> None:
    complaints.append(dialog.message)
    dialog.dismiss()


def sign_in(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#options-now")).not_to_be_empty()  # written by the page's script


def axe(page: Page) -> list[str]:
    """What axe-core finds serious or critical, each with the first element."""
    page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(result => result.violations)")
    return [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_a_wrong_key_is_said_at_the_field_and_a_right_one_opens(desk: Desk) -> None:
    page = desk.page
    page.get_by_role("button", name="Sign out").click()
    field = page.get_by_label("API key")

    field.fill("wrong")
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    expect(page.get_by_text("That is not the key of this server.")).to_be_visible()

    field.fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()


def test_chosen_files_are_uploaded_and_appear_in_the_list(desk: Desk) -> None:
    page = desk.page
    options = page.locator("details.options")
    options.locator("summary").click()
    page.get_by_label("Language spoken").select_option("de")
    page.get_by_label("Names and terms").fill("Kraków")

    page.locator("#file").set_input_files([desk.sound, desk.sound])

    expect(page.locator(".row")).to_have_count(2)
    expect(page.locator(".upload")).to_have_count(0)
    jobs = desk.site.services.jobs.list().items
    assert {(job.options.language, job.options.prompt) for job in jobs} == {("de", "Kraków")}


def test_a_dropped_file_is_uploaded_and_the_whole_page_takes_it(desk: Desk) -> None:
    page = desk.page
    carry = page.evaluate_handle(
        "() => { const data = new DataTransfer();"
        " data.items.add(new File(['RIFF0000WAVE'], 'dropped.wav')); return data; }"
    )

    page.dispatch_event("body", "dragenter", {"dataTransfer": carry})
    expect(page.get_by_text("Let go to add them")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": carry})

    expect(page.get_by_text("Let go to add them")).to_be_hidden()
    expect(page.get_by_role("link", name="dropped.wav")).to_be_visible()


def test_an_upload_that_lost_its_answer_is_sent_again_and_makes_one_job(desk: Desk) -> None:
    page = desk.page
    keys: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()  # it arrives, but the browser never hears of it
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/jobs", lose_the_first_answer)
    page.locator("#file").set_input_files(desk.sound)
    expect(page.get_by_text("No connection to the server").first).to_be_visible()
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".row")).to_have_count(1)
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert len(desk.site.services.jobs.list().items) == 1


def test_a_refused_upload_says_why_and_can_be_removed(desk: Desk) -> None:
    page = desk.page
    empty = desk.sound.with_name("empty.wav")
    empty.touch()
    page.locator("#file").set_input_files(empty)
    expect(page.locator(".upload").get_by_text("This file is empty.")).to_be_visible()

    page.get_by_role("button", name="Remove").click()

    expect(page.locator(".upload")).to_have_count(0)


def test_the_sample_is_one_click_away(desk: Desk) -> None:
    desk.page.get_by_role("button", name="Try the sample recording").click()

    expect(desk.page.get_by_role("heading", level=1)).to_have_text("talk.wav")
    assert len(desk.site.services.jobs.list().items) == 1


def test_the_list_follows_the_work_and_brings_in_what_others_add(desk: Desk) -> None:
    job_id = desk.submit("first.wav")
    page = desk.open()
    expect(page.locator(".row-state")).to_have_text("Waiting")

    desk.site.ledger.start(job_id, 1, "transcribe", 41)
    expect(page.locator(".row-state").get_by_text("Transcribing, 41 %")).to_be_visible()
    desk.submit("second.wav")
    expect(page.get_by_role("link", name="second.wav")).to_be_visible()
    complete_review(desk.site, job_id)

    row = page.locator(".row").last
    expect(row.get_by_text("1 retake")).to_be_visible()
    expect(row.locator(".tape-wave")).to_have_count(1)


def test_typing_in_the_search_narrows_the_list(desk: Desk) -> None:
    for name in ("alpha.wav", "beta.wav"):
        desk.submit(name)
    page = desk.open()

    page.get_by_label("Find by name").fill("alp")

    expect(page.locator(".row")).to_have_count(1)
    expect(page).to_have_url(f"{desk.url}/?q=alp")
    page.reload()
    expect(page.locator(".row")).to_have_count(1)


def test_a_lost_connection_is_said_and_the_bar_goes_when_it_is_back(desk: Desk) -> None:
    desk.submit()
    page = desk.open()

    desk.context.set_offline(True)
    expect(page.locator("#connection")).to_be_visible()
    desk.context.set_offline(False)

    expect(page.locator("#connection")).to_be_hidden()


def test_the_job_page_goes_from_waiting_to_result_without_a_reload(desk: Desk) -> None:
    job_id = desk.submit()
    page = desk.open(f"/jobs/{job_id}")
    expect(page.get_by_role("heading", name="Waiting")).to_be_visible()
    page.evaluate("window.same = true")

    desk.site.ledger.start(job_id, 1, "transcribe", 50)
    expect(page.get_by_role("heading", name="Transcribing, 50 %")).to_be_visible()
    complete_review(desk.site, job_id)

    expect(page.get_by_role("heading", name="To look at")).to_be_visible()
    expect(page.locator(".para-text").first).to_contain_text("Today we um talk about cells.")
    expect(page.locator("#reel .tape-wave")).to_have_count(1)
    assert page.evaluate("window.same") is True


def test_a_click_on_a_word_moves_the_sound_there_and_the_word_is_marked(desk: Desk) -> None:
    page = desk.open(f"/jobs/{desk.reviewed()}")
    word = page.locator(".w", has_text="cells.")

    word.click()

    expect(page.locator("#clock")).to_have_text("0:01.5")
    expect(page.locator(".w.is-now")).to_have_text("cells.")
    expect(page.locator("#reel")).to_have_attribute("aria-valuetext", "0:01 of 0:09")


def test_a_finding_plays_from_a_second_before_and_stops_at_its_end(desk: Desk) -> None:
    page = desk.open(f"/jobs/{desk.reviewed()}")
    page.get_by_label("Speed").select_option("2")

    page.get_by_role("button", name="Filler play at 0:00.6").click()

    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    stopped_s = page.evaluate("document.getElementById('media').currentTime")
    assert 0.9 <= stopped_s < 2


def test_retakes_offer_every_take_and_filters_hide_the_rest(desk: Desk) -> None:
    page = desk.open(f"/jobs/{desk.reviewed()}")

    page.get_by_role("button", name="Retakes 1").click()

    expect(page.locator(".finding:visible")).to_have_count(1)
    page.get_by_role("button", name="Play take 2, keep").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("button", name="All 3").click()
    expect(page.locator(".finding:visible")).to_have_count(3)


def test_a_finding_that_was_ticked_off_stays_so_after_a_reload(desk: Desk) -> None:
    page = desk.open(f"/jobs/{desk.reviewed()}")

    page.get_by_role("checkbox", name="Done with Filler").check()
    page.reload()

    expect(page.get_by_role("checkbox", name="Done with Filler")).to_be_checked()
    expect(page.get_by_text("1 of 3 done")).to_be_visible()


def test_keys_play_seek_walk_the_findings_and_list_themselves(desk: Desk) -> None:
    page = desk.open(f"/jobs/{desk.reviewed()}")
    clock = page.locator("#clock")
    expect(page.locator(".w").first).to_be_visible()

    page.keyboard.press("ArrowRight")
    expect(clock).to_have_text("0:05.0")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press(".")
    expect(clock).to_have_text("0:00.3")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator(".finding.is-now")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_keys_rest_while_something_is_typed(desk: Desk) -> None:
    page = desk.open(f"/jobs/{desk.reviewed()}")

    page.get_by_label("Speed").focus()
    page.keyboard.press("?")

    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_the_tape_is_a_slider_for_pointer_and_keys(desk: Desk) -> None:
    page = desk.open(f"/jobs/{desk.reviewed()}")
    reel = page.get_by_role("slider", name="Position in the recording")
    box = reel.bounding_box()
    assert box is not None

    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    expect(reel).to_have_attribute("aria-valuenow", "5")
    reel.press("Home")
    expect(reel).to_have_attribute("aria-valuenow", "0")
    reel.press("ArrowUp")
    expect(page.locator("#clock")).to_have_text("0:05.0")


def test_deleting_asks_first_starts_on_the_safe_answer_and_gives_focus_back(desk: Desk) -> None:
    job_id = desk.reviewed("old.wav")
    page = desk.open(f"/jobs/{job_id}")
    delete = page.get_by_role("button", name="Delete")

    delete.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete this recording?")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(delete).to_be_focused()
    assert desk.site.services.jobs.get(job_id).status == "completed"

    delete.click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("“old.wav” was deleted.").first).to_be_visible()
    assert desk.site.services.jobs.list().items == ()


def test_stopping_and_trying_again_work_from_the_page(desk: Desk) -> None:
    job_id = desk.submit()
    page = desk.open(f"/jobs/{job_id}")

    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", name="Stopped")).to_be_visible()
    page.get_by_role("button", name="Try again").first.click()

    expect(page.get_by_role("heading", name="Waiting")).to_be_visible()
    assert desk.site.services.jobs.get(job_id).attempt == 2


def test_a_chosen_theme_is_kept(desk: Desk) -> None:
    page = desk.open()

    page.locator("label", has_text="Dark").click()
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(21, 22, 26)")


def test_a_recording_of_two_hours_stays_smooth(desk: Desk) -> None:
    sentence = "This is one sentence of ten words that goes on."
    spoken = transcript(*[sentence] * 2400, language="en")
    job_id = desk.submit()
    report = Report(spoken.duration_ms, "en", (), (), ())
    complete_review(desk.site, job_id, spoken, report)

    page = desk.open(f"/jobs/{job_id}")

    expect(page.locator(".para").nth(150)).to_be_attached()
    assert len(spoken.words) == 24_000
    # Only the paragraphs near the window have an element for each word.
    assert page.locator(".w").count() < 4000
    page.locator(".para").nth(150).scroll_into_view_if_needed()
    expect(page.locator(".para").nth(150).locator(".w").first).to_be_visible()


def test_nothing_from_outside_runs_in_the_page(desk: Desk) -> None:
    spoken = transcript(f"We said {EVIL} aloud.", 8.0)
    job_id = desk.submit(f"{EVIL}.wav")
    complete_review(desk.site, job_id, spoken)
    failed = desk.submit(f"{EVIL}.mp3")
    desk.site.ledger.fail(failed, 1, Failure("x", EVIL, False), None)

    for path in ("/", f"/jobs/{job_id}", f"/jobs/{failed}"):
        page = desk.open(path)
        expect(page.locator("main")).to_contain_text("onerror")
        expect(page.locator("img")).to_have_count(0)
    expect(desk.open(f"/jobs/{job_id}").locator(".para-text").first).to_contain_text("onerror")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_scrolls_sideways(
    browser: Browser, tmp_path: Path, scheme: Any
) -> None:
    sound = write_wav(tmp_path / "talk.wav", tone(9.5)).read_bytes()
    with open_site(tmp_path) as site, served(site) as url:
        size = {"width": PHONE[0], "height": PHONE[1]}
        context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        found = []

        def look(name: str) -> None:
            # Opened, so that what they hide is looked at as well.
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            for width, height in (PHONE, WIDE):
                page.set_viewport_size({"width": width, "height": height})
                wide = page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    found.append(f"{name} is {wide} px wide at {width}")
                found.extend(f"{name} at {width}: {one}" for one in axe(page))

        page.goto(url)
        look("sign-in")
        sign_in(page, url)
        look("home, empty")
        jobs = [
            _submitted(site, sound, f"{name}.wav") for name in ("done", "work", "bad", "w" * 99)
        ]
        complete_review(site, jobs[0])
        site.ledger.start(jobs[1], 1, "transcribe", 41)
        site.ledger.fail(jobs[2], 1, Failure("media_unusable", "No sound.", False), None)
        page.goto(url)
        look("home")
        for job_id, name in zip(jobs, ("completed", "running", "failed", "waiting"), strict=True):
            page.goto(f"{url}/jobs/{job_id}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            if name == "completed":
                expect(page.locator(".w").first).to_be_visible()
            look(name)
        page.goto(f"{url}/jobs/{'0' * 26}")
        look("error")
        context.close()
    assert found == []


def _submitted(site: Site, sound: bytes, name: str) -> str:
    answer = site.post("/v1/jobs", data=form(name=name) | {"file": (io.BytesIO(sound), name)})
    return str(answer.get_json()["id"])
