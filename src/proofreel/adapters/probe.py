"""Find out what a file holds, in a child of its own, and refuse what is not to be decoded.

PyAV rather than the text of `ffmpeg -i`: its answer is data, where that text mixes numbers with
titles the sender chose; it can count packets where a header tells no length; and it is as quick.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import sysconfig
from pathlib import Path
from typing import Any

from proofreel.adapters import probe_child
from proofreel.adapters.ffmpeg_args import FORMATS, MediaLimits
from proofreel.adapters.launch import ChildLimits, ChildNotStarted, ChildResult, run_child
from proofreel.adapters.media_errors import (
    MediaEmpty,
    MediaFormatRefused,
    MediaNoAudio,
    MediaTooLargePicture,
    MediaToolKilled,
    MediaTooLong,
    MediaTooManyStreams,
    MediaUnreadable,
)
from proofreel.core.model import AudioStream, MediaInfo, Monitor, VideoStream

_ACTION = "look into the file"
_SIGKILL = 9

# How texts begin that name other files. FFmpeg tells some of them only by their suffix; the list of
# formats keeps them out in any case, and this gives the sender the better message.
_REFERENCES = (b"#EXTM3U", b"ffconcat", b"v=0", b"[playlist]", b"<MPD", b"<AssetMap", b"<smil")
_SNIFF_BYTES = 1024


def probe(source: Path, limits: MediaLimits, *, monitor: Monitor | None = None) -> MediaInfo:
    """Return what `source` holds. `duration_ms` is 0 where only decoding will tell.

    A file whose only picture is a cover has no video; one with a picture and no sound has `audio`
    None. Raises the MediaError that fits (see media_errors), TimeLimitExceeded, MediaToolKilled,
    ChildNotStarted, or JobCancelled.
    """
    try:
        with source.open("rb") as file:
            head = file.read(_SNIFF_BYTES)
    except OSError as exc:
        raise MediaUnreadable(str(exc)) from exc
    if not head:
        raise MediaEmpty("0 bytes")
    if _names_other_files(head):
        raise MediaFormatRefused("a playlist or description")
    info = _media_info(_ask(source.absolute(), limits, monitor), limits)
    if info.audio is None and info.video is None:
        raise MediaNoAudio("neither sound nor moving picture")
    return info


def _names_other_files(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return any(mark in text for mark in _REFERENCES if mark.startswith(b"<"))
    return text.startswith(_REFERENCES)


def _ask(source: Path, limits: MediaLimits, monitor: Monitor | None) -> dict[str, Any]:
    """Run probe_child and return its answer."""
    packages = _packages_dir()
    script = Path(probe_child.__file__)
    lines: list[str] = []
    result = run_child(
        [
            sys.executable, "-I", "-S", str(script),
            str(packages), str(source), FORMATS, str(limits.max_pixels),
        ],
        action=_ACTION,
        limits=ChildLimits(
            memory_bytes=limits.memory_bytes,
            cpu_s=int(limits.probe_timeout_s) + 1,
            file_bytes=0,
            confine=limits.confine,
        ),
        timeout_s=limits.probe_timeout_s,
        monitor=monitor,
        on_stdout_line=lines.append,
        readable=[source, script, packages, *_python_dirs()],
    )  # fmt: skip
    return _answer(result, lines)


def _answer(result: ChildResult, lines: list[str]) -> dict[str, Any]:
    """Return the child's facts; raise what its end or its answer says is wrong."""
    if result.returncode == -_SIGKILL:
        raise MediaToolKilled(_ACTION, result.last_line)
    if "ModuleNotFoundError" in result.stderr or "ImportError" in result.stderr:
        raise ChildNotStarted(_ACTION, result.last_line)
    if result.returncode != 0 or not lines:
        # A crash or running out of memory in the demuxer: this file's doing, every time.
        raise MediaUnreadable(result.last_line or f"exit {result.returncode}")
    answer: dict[str, Any] = json.loads(lines[-1])
    match answer.get("error"):
        case "refused":
            raise MediaFormatRefused(answer["detail"])
        case "unreadable":
            raise MediaUnreadable(answer["detail"])
    return answer


def _media_info(facts: dict[str, Any], limits: MediaLimits) -> MediaInfo:
    """Return the child's facts as MediaInfo. Raises the MediaError of the limit they exceed."""
    if facts["streams"] > limits.max_streams:
        raise MediaTooManyStreams(facts["streams"], limits.max_streams)
    if facts["duration_ms"] > limits.max_duration_ms:
        raise MediaTooLong(limits.max_duration_ms)
    video = VideoStream(*facts["video"]) if facts["video"] else None
    if video is not None and video.width * video.height > limits.max_pixels:
        raise MediaTooLargePicture(video.width, video.height)
    audio = AudioStream(*facts["audio"]) if facts["audio"] else None
    return MediaInfo(facts["container"], facts["duration_ms"], video, audio)


def _packages_dir() -> Path:
    """Return the directory PyAV is imported from, without importing it here: it is large."""
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None:
        raise ChildNotStarted(_ACTION, "the Python package av is not installed")
    return Path(spec.origin).parent.parent


def _python_dirs() -> list[Path]:
    """Return where this Python and its standard library live, for the sandbox to allow."""
    paths = {Path(sys.executable).parent, Path(sys.executable).resolve().parent}
    paths |= {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    paths |= {Path(sys.base_exec_prefix) / "lib", Path(sys.prefix) / "pyvenv.cfg"}
    return sorted(paths)
