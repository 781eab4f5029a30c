from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from proofreel.adapters.report_page import render_report_page
from proofreel.core.levels import measure_levels, waveform
from proofreel.core.model import Report, Transcript
from proofreel.core.report import build_report
from proofreel.core.tape import Tape
from tests.speech_samples import pause, tone
from tests.transcripts import transcript

PAYLOAD = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"
LINE = "Record ten seconds of silence before you begin."


def page_of(made: Transcript, name: str = "lecture.mp4") -> str:
    said_ms = made.segments[-1].end_ms if made.segments else 0
    samples = np.concatenate((tone(said_ms / 1000), pause((made.duration_ms - said_ms) / 1000)))
    levels = measure_levels(samples)
    report = build_report(made, levels)
    return render_report_page(report, made, tape_of(report, waveform(levels)), name)


def tape_of(report: Report, peaks: tuple[float, ...] = ()) -> Tape:
    return Tape(report.duration_ms, peaks, report.silences, report.repeats, report.flags)


def lecture() -> Transcript:
    return transcript(
        "Um, hello and welcome.", 0.5, LINE, 1.0, LINE, 4.0, "The end is near now.", 3.0
    )


class Outline(HTMLParser):
    """The tags of a page with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_gives_the_summary_the_findings_and_the_transcript_in_this_order() -> None:
    text = Outline(page_of(lecture())).text
    findings = ["To look at", "Filler", "Retake", "Keep", "Silence, 3"]

    place = text.index("lecture.mp4", text.index("}"))
    for words in ("lecture.mp4", "keep the second take", *findings, "Transcript", "Um, hello"):
        place = text.index(words, place)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = page_of(lecture())
    outline = Outline(page)

    assert not {"script", "link", "img", "iframe", "object", "base"} & {t for t, _ in outline.tags}
    attributes = {name for _, attrs in outline.tags for name in attrs}
    assert not {"style", "src", "href"} & attributes
    assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import", page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_a_hostile_name_and_transcript_are_only_text() -> None:
    made = transcript(f"Say {PAYLOAD}", 0.5, f"um {PAYLOAD}", language='en" onload="x')

    outline = Outline(page_of(made, name=PAYLOAD + "\u202egpj.exe"))

    assert not {"script", "img"} & {tag for tag, _ in outline.tags}
    assert f"Review of {PAYLOAD}gpj.exe" in outline.text
    assert {attrs.get("lang") for tag, attrs in outline.tags if tag != "html"} == {None}


def test_headings_and_landmarks_make_an_outline() -> None:
    tags = [tag for tag, _ in Outline(page_of(lecture())).tags]

    assert tags.count("h1") == tags.count("main") == tags.count("header") == 1
    assert tags.count("h2") == 2
    headings = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in pairwise(headings))


def test_flagged_words_and_takes_that_go_are_marked_in_the_transcript() -> None:
    page = page_of(lecture())

    assert "<mark>Um,</mark> hello and welcome." in page
    assert f'<span class="spare">{LINE}</span> {LINE}' in page


def test_the_transcript_starts_a_new_paragraph_after_a_pause() -> None:
    page = page_of(lecture())
    transcript_part = page[page.index('class="transcript"') :]

    assert transcript_part.count('class="said"') == 2
    assert 'lang="en"' in transcript_part


def test_a_recording_without_speech_or_findings_has_a_page_too() -> None:
    report = Report(5000, "", (), (), ())

    text = Outline(render_report_page(report, Transcript("", 5000, "base"), Tape(5000), "")).text

    assert "Nothing to look at" in text
    assert "Nobody says anything in this recording." in text
    assert "Review of Recording" in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium on PATH: the page was not opened (apt install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
def test_every_text_can_be_read_and_nothing_sticks_out(
    browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    from axe_core_python.sync_playwright import Axe

    path = tmp_path / "report.html"
    path.write_text(page_of(lecture(), name="a-very-long-name-" * 12 + ".mp4"))
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # the checker is a script; the page's own policy forbids all of them
    )
    page.goto(path.as_uri())

    broken = Axe().run(page)["violations"]

    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in broken] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.browser
def test_a_payload_does_nothing_in_a_real_browser(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_of(transcript(f"Say {PAYLOAD}"), name=PAYLOAD))
    page = browser.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())

    assert page.title() == f"Review of {PAYLOAD}"
    assert (dialogs, requests) == ([], [path.as_uri()])
    page.close()
