from __future__ import annotations

import csv
import html
import io
import re

import pysubs2
import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from proofreel.core.cues import make_cues
from proofreel.core.model import Cue, Segment, Transcript, Word
from proofreel.core.names import ARTIFACTS
from proofreel.core.subtitles import (
    WRITERS,
    to_plain_text,
    to_srt,
    to_text,
    to_tsv,
    to_vtt,
)
from proofreel.core.timecode import parse_bracket, parse_time

CUES = (
    Cue(62_345, 65_000, ("Room noise is easier to prevent", "than to remove afterwards.")),
    Cue(65_000, 66_100, ("日本語です。",)),
)
EMPTY = Transcript("", 5_000, "base")
HOSTILE_LINES = [
    "00:00:01,000 --> 00:00:02,000",
    "-->",
    "----->",
    "<script>alert(1)</script>",
    "<v Bob>&amp; <00:00:01.000>",
    "WEBVTT",
    "NOTE this",
    "STYLE",
    "12",
    "a\n\n2\n00:00:09,000 --> 00:00:10,000\nb",
    "a\r\rb",
    "a\u2028\u2029\x85\x0b\x0cb",
    "tab\tin\ttext",
    "nul\0 bell\x07 bom\ufeff half\ud800",
    "\n",
    "",
    '"quoted", and comma',
]


def segment(text: str, start_ms: int = 0, end_ms: int = 1_000) -> Segment:
    return Segment(0, start_ms, end_ms, text, -0.2, 1.3, 0.0)


def flat(text: str) -> str:
    """What a reader shall see of a hostile line."""
    text = re.sub("[\0\x07\ufeff\ud800]", "", text)
    return " ".join(text.split())


def test_srt_is_numbered_with_commas_and_empty_lines_between() -> None:
    assert to_srt(CUES) == (
        "1\n00:01:02,345 --> 00:01:05,000\n"
        "Room noise is easier to prevent\nthan to remove afterwards.\n\n"
        "2\n00:01:05,000 --> 00:01:06,100\n日本語です。\n"
    )


def test_vtt_starts_with_its_name_and_has_points() -> None:
    assert to_vtt(CUES[1:]) == "WEBVTT\n\n00:01:05.000 --> 00:01:06.100\n日本語です。\n"


def test_text_has_a_line_for_each_segment() -> None:
    transcript = Transcript(
        "en",
        9_000,
        "base",
        (segment("Hello.", 62, 900), segment(" "), segment("Bye.", 1_000, 2_000)),
    )

    assert to_text(transcript) == (
        "[00:00:00,062 - 00:00:00,900] Hello.\n[00:00:01,000 - 00:00:02,000] Bye.\n"
    )


def test_tsv_is_what_whisper_writes() -> None:
    transcript = Transcript("en", 9_000, "base", (segment(" Hello\tyou.\n", 62, 900),))

    assert to_tsv(transcript) == "start\tend\ttext\n62\t900\tHello you.\n"


def test_plain_text_has_paragraphs_at_long_pauses() -> None:
    words = (
        Word(0, 300, "First", 0.9),
        Word(300, 600, "part.", 0.9),
        Word(2_600, 3_000, "Second", 0.9),
        Word(4_999, 5_400, "part.", 0.9),
    )
    one = Segment(0, 0, 5_400, "First part. Second part.", -0.2, 1.3, 0.0, words)

    assert to_plain_text(Transcript("en", 9_000, "base", (one,))) == "First part.\n\nSecond part.\n"


def test_plain_text_has_paragraphs_of_six_sentences() -> None:
    segments = tuple(segment(f"This is {n}.", n * 1_000, n * 1_000 + 900) for n in range(8))

    first, second = to_plain_text(Transcript("en", 9_000, "base", segments)).split("\n\n")

    assert first == " ".join(f"This is {n}." for n in range(6))
    assert second == "This is 6. This is 7.\n"


def test_where_nothing_was_said_every_file_is_valid() -> None:
    files = {kind: write(EMPTY, ()) for kind, write in WRITERS.items()}

    assert files["srt"] == files["transcript_text"] == files["plain_text"] == ""
    assert files["vtt"] == "WEBVTT\n"
    assert files["tsv"] == "start\tend\ttext\n"
    assert webvtt.from_string(files["vtt"]).captions == []
    assert list(pysubs2.SSAFile.from_string(files["srt"], format_="srt")) == []


def test_every_writer_is_for_a_known_kind_of_file() -> None:
    assert set(WRITERS) <= set(ARTIFACTS)


@pytest.mark.parametrize("line", HOSTILE_LINES)
def test_no_text_breaks_out_of_its_srt_block(line: str) -> None:
    text = to_srt([Cue(0, 1_000, ("before", line)), Cue(2_000, 3_000, (line, "after"))])

    assert text.count("-->") == 2
    assert not set(text) & {"\r", "\0", "\u2028", "\x85"}
    text.encode()
    shown = re.sub("-{2,}>", "→", flat(line))
    payloads = ["\n".join(filter(None, lines)) for lines in (("before", shown), (shown, "after"))]
    assert [block.split("\n", 2) for block in text.rstrip("\n").split("\n\n")] == [
        ["1", "00:00:00,000 --> 00:00:01,000", payloads[0]],
        ["2", "00:00:02,000 --> 00:00:03,000", payloads[1]],
    ]
    if len(re.findall(r"\d\d:\d\d:\d\d", line)) == 2:
        return  # pysubs2 takes any line with two times for the head of a cue
    events = pysubs2.SSAFile.from_string(text, format_="srt", keep_unknown_html_tags=True)
    assert [(event.start, event.end) for event in events] == [(0, 1_000), (2_000, 3_000)]
    assert [event.text.replace("\\N", "\n") for event in events] == payloads


@pytest.mark.parametrize("line", HOSTILE_LINES)
def test_no_text_breaks_out_of_its_vtt_block_or_becomes_markup(line: str) -> None:
    text = to_vtt([Cue(0, 1_000, (line, "x")), Cue(2_000, 3_000, ("y", line))])

    assert text.count("-->") == 2
    assert not re.search(r"<|&(?!amp;|lt;|gt;)", text)
    text.encode()
    captions = webvtt.from_string(text).captions
    assert [(caption.start, caption.end) for caption in captions] == [
        ("00:00:00.000", "00:00:01.000"),
        ("00:00:02.000", "00:00:03.000"),
    ]
    shown = [flat(line)] if flat(line) else []
    assert html.unescape(captions[0].text).split("\n") == [*shown, "x"]
    assert html.unescape(captions[1].text).split("\n") == ["y", *shown]


@pytest.mark.parametrize("line", HOSTILE_LINES)
def test_text_and_tsv_keep_a_line_for_each_segment(line: str) -> None:
    transcript = Transcript("en", 9_000, "base", (segment(line), segment("Next.", 1_000, 2_000)))

    said = [text for text in (flat(line), "Next.") if text]
    assert [parse_bracket(row)[2] for row in to_text(transcript).splitlines()] == said
    rows = csv.reader(io.StringIO(to_tsv(transcript)), "excel-tab", quoting=csv.QUOTE_NONE)
    assert [row[2] for row in rows] == ["text", *said]


def test_a_cue_of_nothing_is_left_out_and_the_numbers_go_on() -> None:
    text = to_srt(
        [Cue(0, 1_000, ("\0",)), Cue(1_000, 2_000, ("one",)), Cue(2_000, 3_000, ("two",))]
    )

    assert re.findall(r"^\d+$", text, re.MULTILINE) == ["1", "2"]


words = st.lists(
    st.tuples(st.integers(0, 2_500), st.integers(0, 1_500), st.text(min_size=1, max_size=20)),
    max_size=40,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(words)
def test_other_readers_find_every_cue_of_any_transcript(steps: list[tuple[int, int, str]]) -> None:
    said, now_ms = [], 0
    for pause_ms, length_ms, text in steps:
        said.append(Word(now_ms + pause_ms, now_ms + pause_ms + length_ms, text, 0.5))
        now_ms += pause_ms + length_ms
    whole = Segment(0, 0, now_ms, " ".join(w.text for w in said), -0.2, 1.3, 0.0, tuple(said))
    transcript = Transcript("en", now_ms + 100, "base", (whole,))
    cues = make_cues(transcript)

    files = {kind: write(transcript, cues) for kind, write in WRITERS.items()}

    for text in files.values():
        assert "\r" not in text
        text.encode()
    times = [(cue.start_ms, cue.end_ms) for cue in cues if shows(cue)]
    srt = pysubs2.SSAFile.from_string(files["srt"], format_="srt", keep_unknown_html_tags=True)
    assert [(event.start, event.end) for event in srt] == times
    vtt = pysubs2.SSAFile.from_string(files["vtt"], format_="vtt")
    assert [(event.start, event.end) for event in vtt] == times
    captions = webvtt.from_string(files["vtt"]).captions
    assert [(parse_time(caption.start), parse_time(caption.end)) for caption in captions] == times


def shows(cue: Cue) -> bool:
    """Whether a cue has more than control characters, which no file holds."""
    return bool(re.sub(r"[\s\0-\x1f\x7f-\x9f\ufeff]", "", "".join(cue.lines)))
