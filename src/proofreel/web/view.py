"""What the templates are given: a job with everything already in words."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from structlog import get_logger

from proofreel.core.findings import count_of
from proofreel.core.job_fields import ORIGINAL, file_url, original
from proofreel.core.jobs import TERMINAL, Artifact, Job
from proofreel.core.model import SpeechOptions
from proofreel.core.names import ARTIFACTS
from proofreel.core.tape import Tape, tape_from_json, tape_svg
from proofreel.core.timecode import to_clock, to_duration
from proofreel.web.format import (
    Moment,
    StageLine,
    cut_name,
    moment,
    progress_words,
    shown_name,
    size_words,
    stage_lines,
)
from proofreel.web.languages import language_name
from proofreel.web.views import ORIGINAL_PURPOSE, iso_time, job_files

log = get_logger()

# What a page can play, best first; the recording itself comes last unless nothing else is there.
_PLAYABLE = ("scaled_video", "scaled_audio", "preview_audio", ORIGINAL)
_MAIN_KINDS = ("srt", "vtt", "plain_text", "transcript_text", "report_html")
_KIND_WORDS = {
    "srt": "SRT",
    "vtt": "VTT",
    "transcript_text": "Timed text",
    "plain_text": "Text",
    "tsv": "TSV",
    "transcript_json": "Transcript JSON",
    "report_text": "Report text",
    "report_json": "Report JSON",
    "report_html": "Report",
    "scaled_video": "Smaller video",
    "scaled_audio": "Smaller audio",
    "preview_audio": "Audio",
    "manifest": "Manifest",
    ORIGINAL: "Original",
}


@dataclass(frozen=True, slots=True)
class Found:
    """How many there are of one sort of finding; `mark` names its shape and colour."""

    mark: str
    count: int
    words: str


@dataclass(frozen=True, slots=True)
class FileView:
    """A file to download: what it is, what it is for, where it is."""

    kind: str
    words: str
    purpose: str
    name: str
    size: str
    url: str


@dataclass(frozen=True, slots=True)
class Source:
    """Something the player can try; `type` "" lets the browser look for itself."""

    url: str
    type: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a job has no result, in three answers: what happened, what it means, what to do."""

    happened: str
    meaning: str
    next: str
    can_retry: bool


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as a row and as a page show it."""

    job: Job
    id: str
    name: str
    name_head: str
    name_tail: str
    status: str
    live: bool
    state: str
    percent: int
    created: Moment
    updated: str
    length: str
    length_ms: int
    language: str
    headline: str
    found: tuple[Found, ...]
    tape: Tape | None
    trouble: Trouble | None

    def tape_svg(self, height_px: int) -> Markup:
        """Return the tape as inline SVG, "" where there is none yet."""
        if self.tape is None:
            return Markup("")
        return Markup(tape_svg(self.tape, height=height_px))  # noqa: S704  # made of numbers

    @property
    def length_clock(self) -> str:
        """The length as the player shows it, `1:02:03`; "" while it is not known."""
        return to_clock(self.length_ms // 1000 * 1000).partition(".")[0] if self.length_ms else ""

    @property
    def stages(self) -> tuple[StageLine, ...]:
        return stage_lines(self.job)

    @property
    def files(self) -> tuple[FileView, ...]:
        return tuple(file_view(self.job, found) for found in job_files(self.job))

    @property
    def main_files(self) -> tuple[FileView, ...]:
        """The files most people come for, in the order of the row of downloads."""
        known = {found.kind: found for found in self.files}
        return tuple(known[kind] for kind in _MAIN_KINDS if kind in known)

    @property
    def said(self) -> str:
        """The state as one sentence for a screen reader."""
        words = ", ".join(found.words for found in self.found)
        return f"{self.name}: {self.state}{f', {words}' if words else ''}."

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        return options_words(self.job.options)

    @property
    def note(self) -> str:
        """What could not be done beside the review, as a sentence; usually ""."""
        result = self.job.result
        return str(result.summary.get("scale_note", "")) if result else ""


def job_view(job: Job, now_ms: int) -> JobView:
    """Return `job` as it looks at `now_ms` (epoch milliseconds)."""
    name = shown_name(job.name)
    head, tail = cut_name(name)
    result = job.result
    tape = _tape(job)
    return JobView(
        job=job,
        id=job.id,
        name=name,
        name_head=head,
        name_tail=tail,
        status=job.status,
        live=job.status not in TERMINAL,
        state=progress_words(job, now_ms),
        percent=job.progress,
        created=moment(job.created_at_ms, now_ms),
        updated=iso_time(job.updated_at_ms) or "",
        length=to_duration(result.duration_ms) if result else "",
        length_ms=result.duration_ms if result else 0,
        language=language_name(result.language) if result else "",
        headline=result.headline if result else "",
        found=found_in(tape) if tape else (),
        tape=tape,
        trouble=trouble_of(job),
    )


def _tape(job: Job) -> Tape | None:
    try:
        return tape_from_json(job.result.tape) if job.result and job.result.tape else None
    except ValueError as problem:
        log.warning("tape_unreadable", job_id=job.id, reason=str(problem))
        return None


def found_in(tape: Tape) -> tuple[Found, ...]:
    """Return how many silences, retakes and flags a recording has; what it lacks is left out."""
    counts = (
        ("silence", len(tape.silences), "silence"),
        ("retake", len(tape.repeats), "retake"),
        ("flag", len(tape.flags), "flag"),
    )
    return tuple(Found(mark, count, count_of(count, word)) for mark, count, word in counts if count)


def file_view(job: Job, found: Artifact) -> FileView:
    """Return one file of `job`, with its address on this server."""
    known = ARTIFACTS.get(found.kind)
    name = found.kind if found.kind == ORIGINAL else found.name
    return FileView(
        kind=found.kind,
        words=_KIND_WORDS.get(found.kind, found.kind),
        purpose=known.purpose if known else ORIGINAL_PURPOSE,
        name=shown_name(found.name),
        size=size_words(found.ref.size_bytes),
        url=file_url("", job.id, name),
    )


def sources(job: Job) -> tuple[Source, ...]:
    """Return what the player tries, in this order."""
    known = {found.kind: found for found in job_files(job)}
    return tuple(
        Source(
            url=f"{file_url('', job.id, kind if kind == ORIGINAL else known[kind].name)}?inline=1",
            # Browsers say no to types such as QuickTime's, and then play what is inside.
            type="" if kind == ORIGINAL else known[kind].content_type,
        )
        for kind in _PLAYABLE
        if kind in known and _is_media(known[kind])
    )


def _is_media(found: Artifact) -> bool:
    return found.content_type.partition("/")[0] in ("audio", "video")


def captions(job: Job) -> str:
    """Return the address of the subtitles for the player, "" while there are none."""
    vtt = job.result.artifact("vtt") if job.result else None
    return file_url("", job.id, vtt.name) if vtt else ""


def has_picture(job: Job) -> bool:
    """Tell whether the recording's type says that it has a picture; the player makes sure."""
    return original(job).content_type.startswith("video/")


def trouble_of(job: Job) -> Trouble | None:
    """Return what to say of a job that failed or was stopped, None for any other."""
    kept = "The recording is still here, as you uploaded it. There is no transcript of it."
    if job.status == "cancelled":
        return Trouble(
            "The work on this recording was stopped.", kept, "Start it again when you like.", True
        )
    if job.status != "failed":
        return None
    failure = job.failure
    happened = failure.message if failure else "The work on this recording did not finish."
    if failure is None or failure.retryable:
        return Trouble(happened, kept, "Try again; the same file may work now.", True)
    if failure.code.startswith(("model", "storage", "settings", "ffmpeg_missing")):
        help_words = "Ask whoever runs this server to look at “proofreel doctor”, then try again."
        return Trouble(happened, kept, help_words, True)
    export = "Export the recording again as MP4, MP3 or WAV and add that file instead."
    return Trouble(happened, kept, export, False)


def options_words(options: SpeechOptions) -> tuple[tuple[str, str], ...]:
    """Return the options a job was made with, as (what, value)."""
    language = language_name(options.language) if options.language else "Detected"
    task = "Translate to English" if options.task == "translate" else "Transcribe"
    words = [("Language asked for", language), ("Task", task), ("Model", options.model)]
    if options.prompt:
        words.append(("Words to expect", options.prompt))
    return tuple(words)
