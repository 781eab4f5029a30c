"""No secret gets into a log, however it is written there."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofreel.core.redaction import REDACTED, Redactor

SECRET = 'p@ss/w"ö rd\\+1'


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        repr(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        f"KeyError: {SECRET}\n  at line 2",
    ],
)
def test_a_known_secret_is_taken_out_in_every_spelling(written: str) -> None:
    said = Redactor([SECRET]).text(f"before {written} after")

    assert SECRET not in said
    assert REDACTED in said
    assert "ss/w" not in said
    assert said.startswith("before ")
    assert said.endswith(" after")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (
            "GET https://s3.example/b/k?X-Amz-Date=2026&X-Amz-Credential=AKIA%2F1&X-Amz-Signature=ab1",
            "GET https://s3.example/b/k?X-Amz-Date=2026&X-Amz-Credential=[redacted]"
            "&X-Amz-Signature=[redacted]",
        ),
        (
            "…?x=1&X-Amz-Security-Token=FwoG/x= failed",
            "…?x=1&X-Amz-Security-Token=[redacted] failed",
        ),
        (
            "…?AWSAccessKeyId=AKIA&Signature=x%3D&Expires=1",
            "…?AWSAccessKeyId=[redacted]&Signature=[redacted]&Expires=1",
        ),
        ("postgresql://user:pw@db.example/x", "postgresql://[redacted]@db.example/x"),
        ("to https://token@hook.example/", "to https://[redacted]@hook.example/"),
        ("Authorization: Bearer abc-DEF_123456", "Authorization: Bearer [redacted]"),
        ("http://127.0.0.1:8000/v1/jobs mail me@example.org", None),
        ("{'authorization': 'Basic dXNlcjpw'}", "{'authorization': 'Basic [redacted]'}"),
        ("sent Bearer abcdefghijklmnop.q", "sent Bearer [redacted]"),
        ("the bearer of news, a basic configuration", None),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_and_the_rest_stays(
    said: str, left: str | None
) -> None:
    assert Redactor().text(said) == (said if left is None else left)


def test_texts_are_found_at_any_depth_and_objects_by_their_words() -> None:
    redactor = Redactor(["canary-1"])

    cleaned = redactor.value(
        {
            "list": ["canary-1", {"canary-1": ("x", "canary-1")}],
            "number": 1,
            "none": None,
            "path": Path("/a/canary-1"),
            "error": ValueError("canary-1"),
        }
    )

    assert "canary-1" not in json.dumps(cleaned)
    assert isinstance(cleaned, dict)
    assert (cleaned["number"], cleaned["none"]) == (1, None)


def test_what_is_too_short_to_be_told_from_a_word_stays() -> None:
    assert Redactor(["", "job"]).text("the job ended") == "the job ended"


def test_a_secret_that_holds_another_goes_as_a_whole() -> None:
    assert Redactor(["abcd", "abcd-efgh"]).text("abcd-efgh") == REDACTED


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=4))
def test_any_secret_is_gone_from_its_line(secret: str) -> None:
    assert Redactor([secret]).text(f"\n{secret}\n") == f"\n{REDACTED}\n"
