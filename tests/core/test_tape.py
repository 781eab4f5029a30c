from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from proofreel.core.model import Flag, Occurrence, Repeat, Silence
from proofreel.core.tape import Tape, tape_from_json, tape_label, tape_svg, tape_to_json

SVG = "{http://www.w3.org/2000/svg}"
TAKES = (Occurrence(20_000, 30_000, "one"), Occurrence(31_000, 41_000, "one"))
TAPE = Tape(
    duration_ms=100_000,
    peaks=tuple(i % 10 / 10 for i in range(200)),
    silences=(Silence(50_000, 60_000, -70.0),),
    repeats=(Repeat("full", 1.0, 1, TAKES),),
    flags=(Flag(80_000, 81_000, "filler", "um"), Flag(10_000, 10_400, "long_word", "can")),
)


def drawn(svg: str, name: str) -> list[ET.Element]:
    root = ET.fromstring(svg)  # noqa: S314  # our own text
    return [element for element in root.iter() if element.get("class") == name]


def test_everything_found_is_drawn_with_its_class() -> None:
    svg = tape_svg(TAPE)

    assert len(drawn(svg, "tape-silence")) == 1
    assert len(drawn(svg, "tape-retake")) == 2
    assert len(drawn(svg, "tape-flag")) == 2
    assert len(drawn(svg, "tape-wave")) == 1


def test_places_on_the_strip_are_shares_of_the_recording() -> None:
    svg = tape_svg(TAPE)

    (silence,) = drawn(svg, "tape-silence")
    assert (silence.get("x"), silence.get("width")) == ("500", "100")
    assert re.match(r"M200 [\d.]+V[\d.]+H300V", str(drawn(svg, "tape-retake")[0].get("d")))
    assert 'x="80.5%"' in svg


def test_the_waveform_is_left_out_where_it_is_silent() -> None:
    (wave,) = drawn(tape_svg(TAPE), "tape-wave")
    xs = [float(x) for x in re.findall(r"[ML]([\d.]+) ", str(wave.get("d")))]

    assert str(wave.get("d")).count("Z") == 2
    assert not [x for x in xs if 500 < x < 600]


@pytest.mark.parametrize("height", [16, 24, 84, 200])
def test_all_marks_stay_inside_the_strip(height: int) -> None:
    late = Tape(1000, (1.0,), (), (), (Flag(5000, 6000, "filler", "um"),))
    broken = Tape(1000, (1.0, 1.0), (), (Repeat("full", 1.0, 0, TAKES),), ())

    assert f'height="{height}"' in tape_svg(TAPE, height=height)
    assert 'x="100%"' in tape_svg(late, height=height)
    for bracket in drawn(tape_svg(broken, height=height), "tape-retake"):
        numbers = [float(n) for n in re.findall(r"[\d.]+", str(bracket.get("d")))]
        assert max(numbers) <= 1000
    (wave,) = drawn(tape_svg(TAPE, height=height), "tape-wave")
    ys = [float(y) for y in re.findall(r" ([\d.]+)", str(wave.get("d")))]
    assert 0 <= min(ys) < max(ys) <= height


def test_it_tells_a_screen_reader_what_it_shows() -> None:
    root = ET.fromstring(tape_svg(TAPE))  # noqa: S314  # our own text

    assert root.get("role") == "img"
    assert root.get("aria-label") == "Recording of 1 min 40 s: 1 silence, 1 retake, 2 flags"
    assert tape_label(Tape(5000)) == "Recording of 5 s: nothing to look at"


def test_a_hostile_title_is_escaped() -> None:
    title = "\"><script>alert(1)</script>&'"

    svg = tape_svg(TAPE, title=title)

    assert "<script" not in svg
    assert ET.fromstring(svg).get("aria-label") == title  # noqa: S314  # our own text


def test_it_holds_nothing_that_a_strict_content_policy_forbids() -> None:
    svg = tape_svg(TAPE, height=84)

    for element in ET.fromstring(svg).iter():  # noqa: S314  # our own text
        assert element.tag in {f"{SVG}svg", f"{SVG}path", f"{SVG}rect"}
        assert not {"style", "id", "href"} & set(element.attrib)
        assert not [name for name in element.attrib if name.startswith("on")]


def test_a_short_mark_in_a_long_recording_is_still_seen() -> None:
    ten_hours = Tape(36_000_000, (0.5,) * 240, (Silence(0, 2000, -70.0),), TAPE.repeats)

    (silence,) = drawn(tape_svg(ten_hours), "tape-silence")

    assert float(str(silence.get("width"))) >= 4


def test_a_thousand_flags_do_not_make_a_thousand_marks() -> None:
    flags = tuple(Flag(i * 10, i * 10 + 5, "filler", "um") for i in range(1000))
    crowded = Tape(10_000, (0.5,) * 240, (), (), flags)

    assert 50 < len(drawn(tape_svg(crowded), "tape-flag")) < 200
    assert len(tape_from_json(tape_to_json(crowded)).flags) == 1000


@pytest.mark.parametrize(
    "tape",
    [Tape(0), Tape(1), Tape(5000, (0.0,)), Tape(5000, (), (Silence(0, 5000, -120.0),))],
)
def test_an_empty_recording_is_drawn_too(tape: Tape) -> None:
    assert ET.fromstring(tape_svg(tape)).tag == f"{SVG}svg"  # noqa: S314  # our own text


def test_numbers_are_short_and_plain() -> None:
    odd = Tape(7, (1 / 3, 1e-9, 0.2), (Silence(1, 3, -70.0),), (), (Flag(2, 3, "x", ""),))

    assert not re.search(r"\d\.\d{3}|\de|nan|inf", tape_svg(odd))


def test_a_tape_drawn_from_json_is_the_same() -> None:
    data = json.loads(json.dumps(tape_to_json(TAPE)))

    again = tape_from_json(data)

    assert tape_svg(again, height=84) == tape_svg(TAPE, height=84)
    assert tape_label(again) == tape_label(TAPE)
    assert tape_to_json(again) == data


def test_the_json_is_small() -> None:
    fine = Tape(100_000, tuple(i % 7 / 7 for i in range(5000)))

    data: Any = tape_to_json(fine)

    assert len(data["peaks"]) == 240
    assert len(json.dumps(data)) < 1500


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"duration_ms": "x"}, {**tape_to_json(TAPE), "flags": [[1, 2]]}],
)
def test_a_damaged_tape_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="the tape is damaged"):
        tape_from_json(data)
