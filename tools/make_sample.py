"""Make the sample recording that the demo and the page offer: `python -m tools.make_sample`.

A made-up talk, spoken by espeak-ng, that holds one of each thing the review looks for: pauses, a
false start, a repeated sentence, fillers.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg

from tests.speech_samples import RATE_HZ, mix, noise, script, write_wav

TARGET = Path(__file__).resolve().parent.parent / "src" / "proofreel" / "sample" / "sample.mp3"
WORDS_PER_MINUTE = 150
ROOM_DBFS = -66.0  # a quiet room, so that pauses are not digital silence
BIT_RATE = "48k"

# Texts, and pauses in seconds.
TALK: tuple[str | float, ...] = (
    0.5,
    "Welcome to Proofreel. This short recording shows what the review report finds.",
    0.8,
    "Um, every lecture begins with a good microphone.",
    0.7,
    "Place the microphone a hand away from your",
    1.0,
    "Place the microphone a hand away from your mouth, and speak across it.",
    4.0,
    "Close the window before you start to record.",
    0.8,
    "Close the window before you start to record.",
    0.8,
    "Uh, a quiet room is worth more than expensive equipment.",
    0.9,
    "Listen to the whole recording once before you publish it.",
    3.5,
    "Thank you for listening, and enjoy your editing.",
    1.0,
)


def main() -> int:
    """Write the sample and say how long and how large it is."""
    spoken, _ = script(*TALK, wpm=WORDS_PER_MINUTE)
    sound = mix(spoken, noise(spoken.size / RATE_HZ, level_dbfs=ROOM_DBFS))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wav = write_wav(Path(folder) / "talk.wav", sound)
        argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y"]
        argv += ["-i", str(wav), "-map_metadata", "-1", "-fflags", "+bitexact"]
        argv += ["-c:a", "libmp3lame", "-b:a", BIT_RATE, str(TARGET)]
        subprocess.run(argv, check=True)  # noqa: S603 - the ffmpeg of our own environment
    seconds, kilobytes = sound.size / RATE_HZ, TARGET.stat().st_size / 1000
    print(f"{TARGET.name}: {seconds:.1f} s, {kilobytes:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
