"""The recogniser with a real model (tiny.en), in its real child process."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from proofreel.adapters.models import ModelMissing, ModelStore
from proofreel.adapters.speech_options import EnglishOnlyModel, UnsupportedLanguage
from proofreel.adapters.whisper import SpeechCrashed, SpeechEngine, SpeechFailed, SpeechLimits
from proofreel.adapters.whisper_process import child_environment
from proofreel.core.model import SpeechOptions, Transcript
from proofreel.errors import JobCancelled, TimeLimitExceeded
from tests.model_fixtures import model_store, models_root
from tests.speech_samples import (
    Samples,
    Spoken,
    mix,
    noise,
    pause,
    script,
    speak,
    tone,
    write_wav,
)

TINY = SpeechOptions(model="tiny.en")


class Watcher:
    """Notes progress; raises in `check` once told to stop."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        self.checks = 0
        self.stopped = threading.Event()

    def progress(self, fraction: float) -> None:
        self.heard.append(fraction)

    def check(self) -> None:
        self.checks += 1
        if self.stopped.is_set():
            raise JobCancelled


@pytest.fixture(scope="module")
def engine() -> Iterator[SpeechEngine]:
    with SpeechEngine(model_store("tiny.en")) as engine:
        yield engine


@pytest.fixture
def recording(tmp_path: Path) -> tuple[Path, tuple[Spoken, ...]]:
    samples, spoken = script(
        "Welcome to this course about sound.",
        3.0,
        "Today we talk about microphones and rooms.",
        6.0,
        "Thank you for listening.",
    )
    return write_wav(tmp_path / "speech.wav", mix(samples, noise(40.0)[: samples.size])), spoken


def gone(process_id: int, within_s: float = 10.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def running(engine: SpeechEngine) -> int:
    assert engine.process_id is not None
    return engine.process_id


def test_speech_is_written_sentence_by_sentence_where_it_was_spoken(
    engine: SpeechEngine, recording: tuple[Path, tuple[Spoken, ...]]
) -> None:
    audio, spoken = recording

    transcript = engine.transcribe(audio, TINY)

    assert (transcript.language, transcript.model) == ("en", "tiny.en")
    assert [segment.id for segment in transcript.segments] == list(range(len(spoken)))
    for segment, line in zip(transcript.segments, spoken, strict=True):
        assert abs(segment.start_ms - line.start_ms) < 500
        assert abs(segment.end_ms - line.end_ms) < 500
    assert "microphones" in transcript.segments[1].text
    assert "listening" in transcript.text


def test_every_word_has_a_time_inside_its_segment_and_a_probability(
    engine: SpeechEngine, recording: tuple[Path, tuple[Spoken, ...]]
) -> None:
    transcript = engine.transcribe(recording[0], TINY)

    for segment in transcript.segments:
        assert segment.words[0].start_ms == segment.start_ms
        assert segment.words[-1].end_ms == segment.end_ms
        assert segment.avg_logprob < 0
    clock_ms = 0
    for word in transcript.words:
        assert clock_ms <= word.start_ms <= word.end_ms <= transcript.duration_ms
        assert 0 <= word.probability <= 1
        assert word.text == word.text.strip() != ""
        clock_ms = word.end_ms


def test_a_warm_model_gives_the_same_transcript_again_from_the_same_process(
    engine: SpeechEngine, recording: tuple[Path, tuple[Spoken, ...]]
) -> None:
    first = engine.transcribe(recording[0], TINY)
    process_id = engine.process_id

    assert engine.transcribe(recording[0], TINY) == first
    assert engine.process_id == process_id


@pytest.mark.parametrize(
    "samples",
    [pause(0), pause(0.0001), pause(5), noise(5, level_dbfs=-40), tone(5)],
    ids=["nothing", "one sample", "digital silence", "noise", "a tone"],
)
def test_a_recording_in_which_nobody_speaks_is_a_success_without_text(
    engine: SpeechEngine, tmp_path: Path, samples: Samples
) -> None:
    watcher = Watcher()

    transcript = engine.transcribe(write_wav(tmp_path / "a.wav", samples), TINY, monitor=watcher)

    assert (transcript.segments, transcript.language, transcript.text) == ((), "", "")
    assert transcript.duration_ms == round(samples.size / 16)
    assert watcher.heard[-1] == 1.0


def test_both_takes_of_a_repeated_sentence_are_written(
    engine: SpeechEngine, tmp_path: Path
) -> None:
    take = "Close the window and put your phone on silent."
    samples, _ = script(take, 0.8, take, 0.6, "Then begin to speak.")

    transcript = engine.transcribe(write_wav(tmp_path / "a.wav", samples), TINY)

    assert transcript.text.lower().count("window") == 2


def test_a_word_after_a_long_silence_stands_after_it(engine: SpeechEngine, tmp_path: Path) -> None:
    samples, spoken = script("When the time comes, I will say banana.", 25.0, "Banana.")

    transcript = engine.transcribe(write_wav(tmp_path / "a.wav", samples), TINY)

    assert abs(transcript.words[-1].start_ms - spoken[1].start_ms) < 500
    assert not [w for w in transcript.words if spoken[0].end_ms + 500 < w.start_ms < 25_000]


def test_a_recording_longer_than_a_piece_keeps_its_times_and_reports_progress(
    engine: SpeechEngine, tmp_path: Path
) -> None:
    line = speak("The end of this piece of work is near.")
    quiet = pause(148.5)  # a line crosses the 150 s at which reading starts anew
    audio = write_wav(tmp_path / "a.wav", np.concatenate([line, quiet, line, line]))
    watcher = Watcher()

    transcript = engine.transcribe(audio, TINY, monitor=watcher)

    starts_ms = [segment.start_ms for segment in transcript.segments]
    expected_ms = [0, *((quiet.size + line.size * n) // 16 for n in (1, 2))]
    assert len(starts_ms) == 3
    assert all(abs(a - b) < 700 for a, b in zip(starts_ms, expected_ms, strict=True))
    assert transcript.text.lower().count("work") == 3
    assert watcher.heard == sorted(watcher.heard)
    assert watcher.heard[-1] == 1.0


def test_a_prompt_changes_how_a_name_is_spelt(engine: SpeechEngine, tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", speak("My name is Jon, and my sister is Kathryn."))

    options = SpeechOptions(model="tiny.en", prompt="Jon and Kathryn wrote to Jon and Kathryn.")
    spelt = engine.transcribe(audio, options).text

    assert "Jon" in spelt
    assert "Kathryn" in spelt


def test_impossible_options_are_refused_without_touching_the_model(
    engine: SpeechEngine, tmp_path: Path
) -> None:
    audio = write_wav(tmp_path / "a.wav", pause(1))

    with pytest.raises(UnsupportedLanguage):
        engine.transcribe(audio, SpeechOptions(model="tiny.en", language="klingon"))
    with pytest.raises(EnglishOnlyModel):
        engine.transcribe(audio, SpeechOptions(model="tiny.en", task="translate"))


def test_an_english_model_under_another_name_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.symlink_to(model_store("tiny.en").path("tiny.en"))
    options = SpeechOptions(model=str(folder), language="de")
    audio = write_wav(tmp_path / "a.wav", pause(1))

    with (
        SpeechEngine(ModelStore(tmp_path, folder=folder)) as engine,
        pytest.raises(EnglishOnlyModel),
    ):
        engine.transcribe(audio, options)


def test_a_model_that_is_not_here_is_said_to_be_missing(tmp_path: Path) -> None:
    with SpeechEngine(ModelStore(tmp_path)) as engine, pytest.raises(ModelMissing):
        engine.transcribe(write_wav(tmp_path / "a.wav", pause(1)), TINY)


def test_a_file_that_is_no_wav_fails_without_harm_to_the_process(
    engine: SpeechEngine, recording: tuple[Path, tuple[Spoken, ...]], tmp_path: Path
) -> None:
    (tmp_path / "no.wav").write_bytes(b"#EXTM3U\nfile:///etc/passwd\n")
    wrong_rate = write_wav(tmp_path / "wrong.wav", pause(1), rate_hz=44_100)
    engine.transcribe(recording[0], TINY)
    process_id = engine.process_id

    for audio in (tmp_path / "no.wav", wrong_rate):
        with pytest.raises(SpeechFailed):
            engine.transcribe(audio, TINY)

    assert engine.process_id == process_id


def test_a_crash_is_said_to_be_one_and_the_next_job_gets_a_new_process(
    engine: SpeechEngine, recording: tuple[Path, tuple[Spoken, ...]]
) -> None:
    engine.transcribe(recording[0], TINY)
    old = running(engine)

    class Assassin(Watcher):
        def check(self) -> None:
            if self.checks == 0:
                os.kill(old, signal.SIGSEGV)
            super().check()

    with pytest.raises(SpeechCrashed) as crash:
        engine.transcribe(recording[0], TINY, monitor=Assassin())
    assert crash.value.retryable
    assert gone(old)

    assert "microphones" in engine.transcribe(recording[0], TINY).text
    assert engine.process_id not in {None, old}


def test_cancelling_kills_the_work_at_once(
    engine: SpeechEngine, recording: tuple[Path, tuple[Spoken, ...]]
) -> None:
    engine.transcribe(recording[0], TINY)
    old = running(engine)
    watcher = Watcher()
    watcher.stopped.set()

    with pytest.raises(JobCancelled):
        engine.transcribe(recording[0], TINY, monitor=watcher)

    assert gone(old)
    assert engine.process_id is None


def test_a_job_that_waits_for_its_turn_can_be_cancelled_without_harm_to_the_other(
    engine: SpeechEngine, recording: tuple[Path, tuple[Spoken, ...]]
) -> None:
    audio = recording[0]
    first, second = Watcher(), Watcher()
    results: list[Transcript] = []
    thread = threading.Thread(
        target=lambda: results.append(engine.transcribe(audio, TINY, monitor=first))
    )
    thread.start()
    while first.checks == 0:
        time.sleep(0.01)
    second.stopped.set()

    with pytest.raises(JobCancelled):
        engine.transcribe(audio, TINY, monitor=second)

    thread.join()
    assert "microphones" in results[0].text


def test_work_beyond_its_time_limit_is_ended(
    recording: tuple[Path, tuple[Spoken, ...]],
) -> None:
    limits = SpeechLimits(load_timeout_s=0.01)
    with SpeechEngine(model_store("tiny.en"), limits=limits) as engine:
        with pytest.raises(TimeLimitExceeded, match="load the speech model"):
            engine.transcribe(recording[0], TINY)
        assert engine.process_id is None

    limits = SpeechLimits(least_timeout_s=0.01, timeout_per_audio_s=0.0)
    with (
        SpeechEngine(model_store("tiny.en"), limits=limits) as engine,
        pytest.raises(TimeLimitExceeded, match="recognise the speech"),
    ):
        engine.transcribe(recording[0], TINY)


def test_a_process_is_replaced_after_its_share_of_jobs(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", pause(1))
    limits = SpeechLimits(jobs_per_process=2)
    with SpeechEngine(model_store("tiny.en"), limits=limits) as engine:
        process_ids = []
        for _ in range(4):
            engine.transcribe(audio, TINY)
            process_ids.append(engine.process_id)

    assert process_ids[0] == process_ids[1] != process_ids[2] == process_ids[3]


def test_an_idle_process_goes_and_the_next_job_starts_another(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", pause(1))
    with SpeechEngine(model_store("tiny.en"), limits=SpeechLimits(idle_exit_s=0.5)) as engine:
        engine.transcribe(audio, TINY)
        old = running(engine)
        assert gone(old)

        engine.transcribe(audio, TINY)
        assert engine.process_id not in {None, old}


def test_the_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", pause(1))
    model_store("tiny.en")
    code = f"""
import time
from pathlib import Path
from proofreel.adapters.models import ModelStore
from proofreel.adapters.whisper import SpeechEngine
from proofreel.core.model import SpeechOptions
engine = SpeechEngine(ModelStore(Path({str(models_root())!r})))
engine.transcribe(Path({str(audio)!r}), SpeechOptions(model="tiny.en"))
print("PID", engine.process_id, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    line = next(line for line in parent.stdout if line.startswith("PID "))
    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert gone(int(line.split()[1]))


def test_the_child_sees_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "S3_SECRET_KEY", "PROOFREEL_DATABASE_URL", "HF_TOKEN"):
        monkeypatch.setenv(name, "canary")

    environment = child_environment()

    assert "canary" not in environment.values()
    assert environment["HF_HUB_OFFLINE"] == "1"


def test_the_parent_never_loads_the_speech_libraries() -> None:
    code = (
        "import sys, proofreel.adapters.whisper; "
        "sys.exit(bool({'ctranslate2', 'faster_whisper', 'onnxruntime', 'av'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_errors_survive_pickling_and_copying() -> None:
    for error in (SpeechCrashed("exit code -11"), SpeechFailed("why")):
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
            assert (type(again), str(again), again.detail) == (
                type(error),
                str(error),
                error.detail,
            )
            assert "-11" not in str(again)
