"""How long speech recognition takes here, beside a peer in the same run: ratios, not promises.

    python benchmarks/speed.py [MEDIA] [--model base] [--models DIR] [--rounds 2] [--openai PT]

MEDIA defaults to the sample recording eight times over. The peer is faster-whisper as it comes
(one window after another, beam 5), or openai-whisper, if installed, with the weights given. Both
are warm; the best of the rounds counts; both give word times.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np

from proofreel.adapters.audio_file import read_pcm
from proofreel.adapters.device import choose_device
from proofreel.adapters.models import ModelStore
from proofreel.adapters.whisper import SpeechEngine
from proofreel.core.model import SpeechOptions

SAMPLE = Path(__file__).resolve().parent.parent / "src" / "proofreel" / "sample" / "sample.mp3"

Run = Callable[[Path], int]
"""Transcribes a WAV and returns how many words it found."""


def main() -> int:
    """Print seconds and ratios of both."""
    args = arguments()
    store = ModelStore(args.models)
    store.pull(args.model)
    with tempfile.TemporaryDirectory() as folder:
        audio = extract(args.media, Path(folder) / "audio.wav")
        seconds = duration_s(audio)
        print(f"{args.media.name}: {seconds:.0f} s of sound, {os.cpu_count()} cores")
        with SpeechEngine(store) as engine:
            ours = best_of(args.rounds, proofreel(engine, args.model), audio)
            print(f"  on {engine.device}")
        peer_name, peer = make_peer(store.path(args.model), args.openai)
        theirs = best_of(args.rounds, peer, audio)
    for name, (taken_s, n_words) in {"proofreel": ours, peer_name: theirs}.items():
        print(
            f"  {name:<28} {taken_s:7.2f} s  {seconds / taken_s:6.1f} x real time  {n_words} words"
        )
    print(f"  proofreel is {theirs[0] / ours[0]:.2f} times as fast")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("media", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--model", default="base")
    models = os.environ.get("PROOFREEL_MODELS_DIR", Path.home() / ".cache" / "proofreel" / "models")
    parser.add_argument("--models", type=Path, default=models, help="folder of models")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--openai", type=Path, help="a checkpoint for openai-whisper")
    return parser.parse_args()


def extract(media: Path, target: Path) -> Path:
    """Write `media` as 16 kHz mono WAV; the sample, which is short, eight times over."""
    repeat = ["-stream_loop", "7"] if media == SAMPLE else []
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", *repeat]
    argv += ["-i", str(media), "-vn", "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le"]
    subprocess.run([*argv, "-f", "wav", str(target)], check=True)
    return target


def duration_s(audio: Path) -> float:
    with wave.open(str(audio), "rb") as file:
        return file.getnframes() / file.getframerate()


def best_of(rounds: int, run: Run, audio: Path) -> tuple[float, int]:
    """Return the least seconds of `rounds` warm runs, and the words found."""
    n_words = run(audio)  # warms up
    taken_s = []
    for _ in range(rounds):
        started_s = time.perf_counter()
        n_words = run(audio)
        taken_s.append(time.perf_counter() - started_s)
    return min(taken_s), n_words


def proofreel(engine: SpeechEngine, model: str) -> Run:
    return lambda audio: len(engine.transcribe(audio, SpeechOptions(model=model)).words)


def make_peer(folder: Path, openai_weights: Path | None) -> tuple[str, Run]:
    if openai_weights is not None:
        import whisper  # type: ignore[import-not-found,unused-ignore]

        model: Any = whisper.load_model(str(openai_weights), device="cpu")

        def run_openai(audio: Path) -> int:
            samples = read_pcm(audio).astype(np.float32) / 32768  # a path would need ffmpeg on PATH
            found = model.transcribe(samples, word_timestamps=True, fp16=False)
            return sum(len(segment["words"]) for segment in found["segments"])

        return "openai-whisper, float32", run_openai

    from faster_whisper import WhisperModel

    choice = choose_device("auto", "auto")
    plain: Any = WhisperModel(str(folder), device=choice.device, compute_type=choice.compute_type)

    def run_plain(audio: Path) -> int:
        segments, _ = plain.transcribe(str(audio), word_timestamps=True)
        return sum(len(segment.words or ()) for segment in segments)

    return "faster-whisper as it comes", run_plain


if __name__ == "__main__":
    sys.exit(main())
