"""Cues -> SRT and VTT; transcript -> text and TSV.

Every writer returns a finished file as text, lines ended by "\\n". Whatever the words hold, they
cannot break the form of the file: white space is flattened, control characters are left out.
A transcript without words gives a valid file.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence

from proofreel.core.model import Cue, Transcript
from proofreel.core.phrasing import ends_sentence
from proofreel.core.pieces import Piece, join_pieces, timed_pieces
from proofreel.core.timecode import to_bracket, to_srt_time, to_vtt_time

PARAGRAPH_PAUSE_MS = 2000
PARAGRAPH_SENTENCES = 6

# Controls that are not white space, half surrogate pairs (no UTF-8 for them), the byte order mark.
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff]")
_ARROW = re.compile(r"-{2,}>")


def to_srt(cues: Sequence[Cue]) -> str:
    """Return a SubRip file. "-->" in a text, which would end it, becomes an arrow."""
    blocks: list[str] = []
    for cue in cues:
        if lines := _lines(cue):
            times = f"{to_srt_time(cue.start_ms)} --> {to_srt_time(cue.end_ms)}"
            text = _ARROW.sub("\N{RIGHTWARDS ARROW}", "\n".join(lines))
            blocks.append(f"{len(blocks) + 1}\n{times}\n{text}\n")
    return "\n".join(blocks)


def to_vtt(cues: Sequence[Cue]) -> str:
    """Return a WebVTT file (https://www.w3.org/TR/webvtt1/); its texts hold no markup."""
    blocks = ["WEBVTT\n"]
    for cue in cues:
        if lines := _lines(cue):
            times = f"{to_vtt_time(cue.start_ms)} --> {to_vtt_time(cue.end_ms)}"
            blocks.append(f"{times}\n{html.escape(chr(10).join(lines), quote=False)}\n")
    return "\n".join(blocks)


def to_text(transcript: Transcript) -> str:
    """Return a line for each segment: `[00:01:02,345 - 00:01:05,000] text`."""
    return "".join(
        f"{to_bracket(segment.start_ms, segment.end_ms)} {text}\n"
        for segment in transcript.segments
        if (text := _flat(segment.text))
    )


def to_plain_text(transcript: Transcript) -> str:
    """Return the words alone, in paragraphs with an empty line between them.

    A paragraph ends where nothing is said for PARAGRAPH_PAUSE_MS or after PARAGRAPH_SENTENCES.
    """
    texts = (_flat(join_pieces(pieces)) for pieces in _paragraphs(transcript))
    return "\n".join(f"{text}\n" for text in texts if text)


def to_tsv(transcript: Transcript) -> str:
    """Return a table of start, end (milliseconds) and text, as Whisper's own tool writes it."""
    rows = (
        f"{segment.start_ms}\t{segment.end_ms}\t{text}\n"
        for segment in transcript.segments
        if (text := _flat(segment.text))
    )
    return "start\tend\ttext\n" + "".join(rows)


# By the kinds of names.ARTIFACTS: a new format is a line here. Each takes transcript and cues.
WRITERS: dict[str, Callable[[Transcript, Sequence[Cue]], str]] = {
    "srt": lambda transcript, cues: to_srt(cues),
    "vtt": lambda transcript, cues: to_vtt(cues),
    "transcript_text": lambda transcript, cues: to_text(transcript),
    "plain_text": lambda transcript, cues: to_plain_text(transcript),
    "tsv": lambda transcript, cues: to_tsv(transcript),
}


def _lines(cue: Cue) -> list[str]:
    return [text for line in cue.lines if (text := _flat(line))]


def _flat(text: str) -> str:
    """Return `text` on one line, without what no file should hold."""
    return " ".join(_UNPRINTABLE.sub("", text).split())


def _paragraphs(transcript: Transcript) -> Iterator[list[Piece]]:
    paragraph: list[Piece] = []
    sentences = 0
    for piece in (piece for segment in transcript.segments for piece in timed_pieces(segment)):
        if paragraph:
            sentences += ends_sentence(paragraph[-1].text, piece.text)
            pause_ms = piece.start_ms - paragraph[-1].end_ms
            if pause_ms >= PARAGRAPH_PAUSE_MS or sentences == PARAGRAPH_SENTENCES:
                yield paragraph
                paragraph, sentences = [], 0
        paragraph.append(piece)
    if paragraph:
        yield paragraph
