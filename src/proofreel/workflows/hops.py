"""The hops of a job: each takes values and refs, works in a folder of its own, returns values.

A hop that runs again overwrites what it stored before and comes to the same result.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np

from proofreel.adapters.audio_file import read_pcm
from proofreel.adapters.media_errors import ScaleMissed
from proofreel.adapters.report_page import render_report_page
from proofreel.core.cues import make_cues
from proofreel.core.jobs import Artifact, JobResult
from proofreel.core.levels import Levels, measure_levels, waveform
from proofreel.core.model import Transcript
from proofreel.core.names import ARTIFACTS
from proofreel.core.playable import plays_in_browsers
from proofreel.core.report import build_report, headline, report_to_json, report_to_text, summary
from proofreel.core.scaling import ScaleImpossible, plan_scaling
from proofreel.core.silence import find_silences
from proofreel.core.subtitles import WRITERS
from proofreel.core.tape import Tape, tape_to_json
from proofreel.core.timecode import to_seconds
from proofreel.core.transcript import transcript_from_json, transcript_to_json
from proofreel.errors import TimeLimitExceeded
from proofreel.workflows.results import Heard, Loudness, Probed, Review, Scaled, Sound, Texts
from proofreel.workflows.steps import Workbench


def probe(bench: Workbench) -> Probed:
    """Look what the file holds and whether it needs a smaller copy. Raises MediaError."""
    source = bench.source()
    sha256 = bench.spec.source.sha256 or _digest_of(source)
    info = bench.tools.media.probe(source, monitor=bench.monitor)
    try:
        plan = plan_scaling(
            info,
            size_bytes=bench.spec.source.size_bytes,
            max_bytes=bench.tools.max_file_bytes,
        )
    except ScaleImpossible as impossible:
        return Probed(info, None, str(impossible), sha256)
    return Probed(info, plan, "", sha256)


def scale(bench: Workbench, probed: Probed) -> Scaled:
    """Make the smaller copy. A recording that resists keeps its transcript: the note says why."""
    if probed.plan is None:
        return Scaled(None, probed.scale_note)
    kind = "scaled_video" if probed.info.video else "scaled_audio"
    target = bench.folder / f"scaled{ARTIFACTS[kind].suffix[-4:]}"
    source = bench.source()
    try:
        bench.tools.media.scale(source, target, probed.plan, probed.info, monitor=bench.monitor)
    except (ScaleMissed, TimeLimitExceeded) as error:
        return Scaled(None, str(error))
    return Scaled(bench.deliver(kind, target), "")


def extract(bench: Workbench, probed: Probed) -> Sound:
    """Take the sound out of the original. Raises MediaError."""
    target = bench.folder / "audio.wav"
    duration_ms = bench.tools.media.extract_audio(
        bench.source(), target, probed.info, monitor=bench.monitor
    )
    return Sound(bench.keep("audio.wav", target), duration_ms)


def transcribe(bench: Workbench, sound: Sound) -> Heard:
    """Write down what is said. Raises SpeechError, InvalidInput for options that cannot work."""
    audio = bench.fetch(sound.audio, "audio.wav")
    transcript = bench.tools.speech.transcribe(audio, bench.spec.options, monitor=bench.monitor)
    artifact = bench.deliver("transcript_json", _json(transcript_to_json(transcript)))
    return Heard(artifact.ref, transcript.language)


def silence(bench: Workbench, sound: Sound) -> Loudness:
    """Measure how loud each moment is, and count the silences."""
    levels = measure_levels(read_pcm(bench.fetch(sound.audio, "audio.wav")))
    file = io.BytesIO()
    np.save(file, levels.dbfs)
    path = bench.folder / "levels.npy"
    path.write_bytes(file.getvalue())
    return Loudness(bench.keep("levels.npy", path), levels.window_ms, levels.duration_ms)


def subtitles(bench: Workbench, heard: Heard) -> Texts:
    """Write every text form of the transcript."""
    transcript = _transcript(bench, heard)
    cues = make_cues(transcript)
    return Texts(
        tuple(bench.deliver(kind, write(transcript, cues)) for kind, write in WRITERS.items())
    )


def report(bench: Workbench, heard: Heard, loudness: Loudness) -> Review:
    """Find what an editor should look at and write the report in its three forms."""
    transcript = _transcript(bench, heard)
    dbfs = np.load(bench.fetch(loudness.levels, "levels.npy"), allow_pickle=False)
    levels = Levels(dbfs, loudness.window_ms, loudness.duration_ms)
    silences = find_silences(
        levels,
        at_least_ms=bench.tools.silence_at_least_ms,
        threshold_dbfs=bench.tools.silence_below_dbfs,
    )
    review = build_report(transcript, levels, silences)
    tape = Tape(review.duration_ms, waveform(levels), review.silences, review.repeats, review.flags)
    name = bench.spec.name
    page = render_report_page(review, transcript, tape, name)
    return Review(
        artifacts=(
            bench.deliver("report_text", report_to_text(review, name)),
            bench.deliver("report_json", _json(report_to_json(review))),
            bench.deliver("report_html", page),
        ),
        summary=summary(review),
        headline=headline(review),
        tape=tape_to_json(tape),
    )


def publish(
    bench: Workbench,
    probed: Probed,
    sound: Sound,
    heard: Heard,
    texts: Texts,
    review: Review,
    scaled: Scaled,
) -> JobResult:
    """Gather what the hops stored; the manifest is written last."""
    transcript = bench.artifact("transcript_json", heard.transcript)
    artifacts = [*texts.artifacts, transcript, *review.artifacts]
    if scaled.artifact:
        artifacts.append(scaled.artifact)
    elif not plays_in_browsers(probed.info):
        audio = bench.fetch(sound.audio, "audio.wav")
        artifacts.append(bench.deliver("preview_audio", audio))
    notes = {"scale_note": scaled.note} if scaled.note else {}
    result = JobResult(
        artifacts=tuple(artifacts),
        duration_ms=sound.duration_ms,
        language=heard.language,
        summary={**review.summary, **notes},
        headline=review.headline,
        tape=review.tape,
    )
    manifest = bench.deliver("manifest", _json(_manifest(bench, result, probed)))
    return JobResult(
        (*artifacts, manifest),
        result.duration_ms,
        result.language,
        result.summary,
        result.headline,
        result.tape,
    )


def _transcript(bench: Workbench, heard: Heard) -> Transcript:
    data = json.loads(bench.read(heard.transcript))
    return transcript_from_json(data)


def _manifest(bench: Workbench, result: JobResult, probed: Probed) -> dict[str, object]:
    return {
        "version": 1,
        "original": {
            "name": bench.spec.name,
            "size": bench.spec.source.size_bytes,
            "sha256": bench.spec.source.sha256 or probed.sha256,
        },
        "duration": to_seconds(result.duration_ms),
        "language": result.language,
        "summary": result.summary,
        "files": [_manifest_entry(artifact) for artifact in result.artifacts],
    }


def _manifest_entry(artifact: Artifact) -> dict[str, object]:
    return {
        "kind": artifact.kind,
        "name": artifact.name,
        "content_type": artifact.content_type,
        "size": artifact.ref.size_bytes,
        "sha256": artifact.ref.sha256,
    }


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"
