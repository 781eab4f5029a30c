"""Names of files: a stranger's label made safe, and what the files of a job are called."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

NAME_LIMIT_BYTES = 120  # with the longest suffix of ours still far below a file system's 255
FALLBACK_STEM = "recording"

_KEEP = frozenset(" ._-()+,;")
_DROP = frozenset("'\"`\u02bc")  # as in "Bob's": nothing reads better than "_" in their place
# Marks and letters that draw nothing (Unicode DerivedCoreProperties, Default_Ignorable_Code_Point):
# they make two names look the same.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved up to the first dot
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)
# An extension has a letter: "Lecture 1.2" has none.
_SUFFIX = re.compile(r"\.(?=[0-9]*[a-z])[a-z0-9]{1,10}\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ArtifactKind:
    """One sort of file that a job makes; its name is the recording's stem and `suffix`."""

    suffix: str
    content_type: str
    purpose: str  # a short phrase for people
    with_stem: bool = True


_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"

ARTIFACTS: dict[str, ArtifactKind] = {
    "srt": ArtifactKind(
        ".srt", "application/x-subrip; charset=utf-8", "Subtitles, for YouTube and Premiere"
    ),
    "vtt": ArtifactKind(".vtt", "text/vtt; charset=utf-8", "Subtitles, for web players"),
    "transcript_text": ArtifactKind("_transcription.txt", _TEXT, "Transcript with times"),
    "plain_text": ArtifactKind("_plain.txt", _TEXT, "Transcript to read and quote"),
    "tsv": ArtifactKind(
        ".tsv", "text/tab-separated-values; charset=utf-8", "Transcript as a table"
    ),
    "transcript_json": ArtifactKind("_transcript.json", _JSON, "Every word with its time"),
    "report_text": ArtifactKind("_report.txt", _TEXT, "Review report to read anywhere"),
    "report_json": ArtifactKind("_report.json", _JSON, "Review report for programs"),
    "report_html": ArtifactKind(
        "_report.html", "text/html; charset=utf-8", "Review report to open, print or send"
    ),
    "scaled_video": ArtifactKind("_scaled.mp4", "video/mp4", "Smaller copy of the video"),
    "scaled_audio": ArtifactKind("_scaled.m4a", "audio/mp4", "Smaller copy of the sound"),
    "preview_audio": ArtifactKind("_audio.wav", "audio/wav", "Sound that every browser plays"),
    "manifest": ArtifactKind("manifest.json", _JSON, "List of all files", with_stem=False),
}


def safe_name(label: str) -> str:
    """Return `label` as a name that is safe as one segment of a path or storage key.

    Letters, marks and digits of every script stay, in NFC; what else is visible turns into "_" or
    its plain look-alike. The answer is never empty, "." or "..", holds no separator, control or
    direction mark, starts with neither a dot nor a dash, is not a device name on Windows and has at
    most NAME_LIMIT_BYTES bytes in UTF-8, the extension included. It is a fixed point: making a safe
    name safe changes nothing. Two labels may share a name.
    """
    last = next((part for part in reversed(re.split(r"[/\\]", label)) if part.strip(" .")), "")
    if len(last) > 1000:  # normalising a very long run of marks takes quadratic time
        last = last[:900] + last[-100:]
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFC", last))
    plain = unicodedata.normalize("NFC", "".join(map(_plain_character, visible)))
    for run, one in ((r"\0+", "_"), (r" +", " "), (r"[ .]*\.", ".")):
        plain = re.sub(run, one, plain)
    stem, suffix = stem_and_suffix(plain.rstrip(" ."))
    stem = stem.lstrip(" .-") or FALLBACK_STEM
    if _RESERVED.match(stem + suffix):
        stem = "_" + stem
    room = NAME_LIMIT_BYTES - len(suffix)
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + suffix


def stem_and_suffix(name: str) -> tuple[str, str]:
    """Split `lecture.mp4` into `lecture` and `.mp4`; the suffix is "" where there is none."""
    match = _SUFFIX.search(name)
    cut = match.start() if match else len(name)
    return name[:cut], name[cut:]


def artifact_name(name: str, kind: str) -> str:
    """Return what the file `kind` of the recording `name` is called: `lecture_report.txt`.

    `name` may be any label. Raises KeyError for a kind that is not in ARTIFACTS.
    """
    artifact = ARTIFACTS[kind]
    stem = stem_and_suffix(safe_name(name))[0] if artifact.with_stem else ""
    return stem + artifact.suffix


def _plain_character(char: str) -> str:
    """Return `char`, its plain look-alike, "" to drop it, or NUL where "_" shall mark a gap."""
    category = unicodedata.category(char)
    if char in _KEEP or category[0] in "LMN":
        return char
    if char in "\t\n\r\v\f" or category[0] == "Z":
        return " "
    if char in _DROP or category in ("Cc", "Cf", "Cs", "Pi", "Pf"):
        return ""
    return {"Pd": "-", "Ps": "(", "Pe": ")"}.get(category, "\0")
