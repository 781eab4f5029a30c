from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proofreel.core.names import (
    ARTIFACTS,
    NAME_LIMIT_BYTES,
    artifact_name,
    safe_name,
    stem_and_suffix,
)

bounded = settings(max_examples=500, deadline=None, derandomize=True)
hostile_text = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("/\\.\0 -_:*?\"<>|\u202e\u200d\u0301\ud800~$%&'\r\n\t\u3000\uff0f"),
        st.sampled_from("conaux.mp4"),
    ),
    max_size=200,
)


@bounded
@given(hostile_text)
@example("")
@example(".")
@example("..")
@example("../../etc/passwd")
@example("a" * 4096 + ".mp4")
@example("é" * 200)
@example(" .\u200d. .mp4")
@example("CON")
@example("com¹.tar.gz")
@example("foo .bar.")
@example("x" * 117 + " .abc d")
def test_no_label_whatever_makes_an_unsafe_name(label: str) -> None:
    name = safe_name(label)

    assert name not in ("", ".", "..")
    assert not set(name) & set('/\\\0:*?"<>|')
    assert not any(unicodedata.category(char)[0] == "C" for char in name)
    assert name[0] not in ".- "
    assert name[-1] not in ". "
    assert ".." not in name
    assert len(name.encode()) <= NAME_LIMIT_BYTES
    assert unicodedata.is_normalized("NFC", name)
    assert PurePosixPath(name).parts == (name,)
    assert PureWindowsPath(name).parts == (name,)
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("lecture.mp4", "lecture.mp4"),
        ("Übung 3 (final), take_2+1.MP4", "Übung 3 (final), take_2+1.MP4"),
        ("日本語の講義.mp4", "日本語の講義.mp4"),
        ("محاضرة.mp3", "محاضرة.mp3"),
        ("हिन्दी व्याख्यान.wav", "हिन्दी व्याख्यान.wav"),
        ("Bob's “best” talk.mov", "Bobs best talk.mov"),
        ("Intro – part [2].mp4", "Intro - part (2).mp4"),
        ("50% & more?.mp4", "50_ _ more_.mp4"),
        ("🎉🎉.mp4", "_.mp4"),
        ("C:\\Users\\me\\talk.mp4", "talk.mp4"),
        ("../../etc/passwd", "passwd"),
        ("dir/", "dir"),
        (".htaccess", "recording.htaccess"),
        ("...", "recording"),
        ("\0\r\n", "recording"),
        ("-rf", "rf"),
        ("evil\u202e4pm.exe", "evil4pm.exe"),
        ("a\tb\n c.mp3", "a b c.mp3"),
        ("trailing. . .", "trailing"),
        ("NUL", "_NUL"),
        ("con.mp4", "_con.mp4"),
        ("Lpt1 .tar.gz", "_Lpt1.tar.gz"),
        ("console.mp4", "console.mp4"),
        ("Cafe\u0301.mp4", "Café.mp4"),
        ("\ud800half.mp4", "half.mp4"),
    ],
)
def test_labels_stay_readable_in_any_script(label: str, name: str) -> None:
    assert safe_name(label) == name


def test_a_long_name_is_cut_between_characters_and_keeps_its_extension() -> None:
    assert safe_name("日" * 100 + ".mp4") == "日" * 38 + ".mp4"
    assert safe_name("x" * 5000 + ".webm") == "x" * 115 + ".webm"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("lecture.mp4", ("lecture", ".mp4")),
        ("a.b.M4A", ("a.b", ".M4A")),
        ("clip.3gp", ("clip", ".3gp")),
        ("Lecture 1.2", ("Lecture 1.2", "")),
        ("Mr. Smith", ("Mr. Smith", "")),
        ("plain", ("plain", "")),
    ],
)
def test_only_what_looks_like_an_extension_is_one(name: str, parts: tuple[str, str]) -> None:
    assert stem_and_suffix(name) == parts


def test_the_files_of_a_job_have_the_names_users_know() -> None:
    assert {kind: artifact_name("lecture.mp4", kind) for kind in ARTIFACTS} == {
        "srt": "lecture.srt",
        "vtt": "lecture.vtt",
        "transcript_text": "lecture_transcription.txt",
        "plain_text": "lecture_plain.txt",
        "tsv": "lecture.tsv",
        "transcript_json": "lecture_transcript.json",
        "report_text": "lecture_report.txt",
        "report_json": "lecture_report.json",
        "report_html": "lecture_report.html",
        "scaled_video": "lecture_scaled.mp4",
        "scaled_audio": "lecture_scaled.m4a",
        "preview_audio": "lecture_audio.wav",
        "manifest": "manifest.json",
    }


@bounded
@given(hostile_text)
def test_the_files_of_one_job_never_share_a_name_on_any_file_system(label: str) -> None:
    names = [artifact_name(label, kind) for kind in ARTIFACTS]

    assert len({unicodedata.normalize("NFKC", name).casefold() for name in names}) == len(ARTIFACTS)
    assert all(len(name.encode()) <= 255 for name in names)
    assert all(PureWindowsPath(name).parts == (name,) for name in names)


def test_every_kind_says_what_it_is_for() -> None:
    for kind, artifact in ARTIFACTS.items():
        assert artifact.purpose, kind
        assert "/" in artifact.content_type, kind


def test_an_unknown_kind_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        artifact_name("lecture.mp4", "ass")
