"""Look into one media file and print what is there as a line of JSON; run by probe.py in a sandbox.

`python -I -S probe_child.py PACKAGES_DIR FILE FORMATS MAX_PIXELS`; PyAV comes from PACKAGES_DIR.
The answer is either {"error": "refused" | "unreadable", "detail"} or {"container", "streams",
"duration_ms", "audio", "video"}, the last two as the fields of AudioStream and VideoStream or null.
Nothing is judged here. Nothing of ours can be imported here.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import Any

_SCAN_S = 3.0  # the most time spent on counting packets

# Demuxers that guess the duration from the bit rate of the first packets, or have no other way.
_GUESSING = {"aac", "ac3", "amr", "amrnb", "amrwb", "dss", "dts", "eac3", "loas", "mp3"}

_TOO_LARGE = re.compile(r"Picture size (\d+)x(\d+) exceeds")
_ROTATION = re.compile(r"[Dd]isplay ?[Mm]atrix: rotation of (-?[\d.]+) degrees")


def _rotation_deg(dump: str, index: int) -> int:
    """Return the clockwise turn, in quarters, that FFmpeg's description of stream `index` tells.

    PyAV shows the display matrix on decoded frames only; the description has it without decoding.
    FFmpeg counts counter-clockwise (av_display_rotation_get).
    """
    section = re.split(r"^ *Stream #0:", dump, flags=re.MULTILINE)
    for part in section[1:]:
        if re.match(rf"{index}\D", part) and (found := _ROTATION.search(part)):
            clockwise_quarters: int = round(-float(found[1]) / 90) % 4
            return clockwise_quarters * 90
    return 0


def _counted_us(container: Any, stream: Any) -> int:
    """Return where the stream's last packet ends, by reading packets for at most `_SCAN_S`."""
    give_up_s = time.monotonic() + _SCAN_S
    end = passed = 0
    try:
        for packet in container.demux(stream):
            length = packet.duration or 0
            passed += length
            start = packet.pts if packet.pts is not None else passed - length
            end = max(end, start + length)
            if time.monotonic() > give_up_s:
                break
    except Exception:  # noqa: S110 - the end of what can be read
        pass
    offset = min(stream.start_time or 0, end)
    return int((end - offset) * stream.time_base * 1_000_000) if stream.time_base else 0


def _duration_us(container: Any, audio: Any, size_bytes: int) -> int:
    claimed: int = max(container.duration or 0, 0)
    if audio is None:
        return claimed
    if claimed == 0 or container.format.name in _GUESSING:
        counted = _counted_us(container, audio)
        # A scan that ran out of time saw less than there is.
        return counted if 0 < counted < 1.5 * claimed or not claimed else max(claimed, counted)
    codec = audio.codec_context
    if len(container.streams) == 1 and codec.name.startswith("pcm_") and codec.bit_rate:
        # A header may claim any length; plain samples cannot be longer than the file.
        bits_per_s: int = codec.bit_rate
        return min(claimed, size_bytes * 8_000_000 // bits_per_s)
    return claimed


def _describe(container: Any, dump: str, size_bytes: int) -> dict[str, Any]:
    import av

    cover = av.stream.Disposition.attached_pic
    pictures = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & cover
    ]
    shown = [s for s in pictures if s.width and s.height]
    sounds = container.streams.audio  # the first is the one that is transcribed
    if sounds and sounds[0].codec_context is None:
        return {"error": "unreadable", "detail": "no decoder for the sound"}
    facts: dict[str, Any] = {
        "container": container.format.name,
        "streams": len(container.streams),
        "duration_ms": _duration_us(container, sounds[0] if sounds else None, size_bytes) // 1000,
        "audio": None,
        "video": None,
    }
    if sounds:
        codec = sounds[0].codec_context
        facts["audio"] = [
            codec.codec.canonical_name,
            codec.sample_rate or 0,
            codec.layout.nb_channels,
        ]
    if shown:
        stream = shown[0]
        facts["video"] = [
            stream.codec_context.codec.canonical_name,
            stream.width,
            stream.height,
            _rotation_deg(dump, stream.index),
            float(stream.average_rate or stream.guessed_rate or 0),
            float(stream.sample_aspect_ratio or 1),
        ]
    elif pictures and (found := _TOO_LARGE.search(dump)):
        # FFmpeg gave up on it, size and all: what it said is all there is.
        facts["video"] = ["", int(found[1]), int(found[2]), 0, 0.0]
    return facts


def main(arguments: list[str]) -> int:
    packages, path, formats, max_pixels = arguments
    sys.path.append(packages)
    import av
    import av.logging

    av.logging.set_level(av.logging.INFO)  # dumps_format speaks at this level
    options = {
        "format_whitelist": formats,
        "protocol_whitelist": "file",
        "max_pixels": max_pixels,
    }
    answer: dict[str, Any]
    container: Any  # PyAV's types leave out dumps_format
    with av.logging.Capture(local=False) as lines:
        try:
            with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
                dump = container.dumps_format() + "".join(line[2] for line in lines)
                answer = _describe(container, dump, os.path.getsize(path))
        except (av.error.FFmpegError, ValueError) as exc:
            refused = any("not on whitelist" in line[2] for line in lines)
            answer = {"error": "refused" if refused else "unreadable", "detail": str(exc)}
    print(json.dumps(answer), flush=True)
    # Unloading the libraries takes longer than all of the above; the kernel does it faster.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
