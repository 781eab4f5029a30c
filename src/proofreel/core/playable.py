"""Which recordings browsers play as they are."""

from __future__ import annotations

from proofreel.core.model import MediaInfo

# What Chromium, Firefox and Safari all play, by FFmpeg's demuxer names, with the codecs that each
# container may hold (caniuse.com, "Media formats"; Matroska proper is not among them).
_AUDIO_ONLY: dict[str, frozenset[str]] = {
    "mp3": frozenset({"mp3"}),
    "wav": frozenset({"pcm_s16le", "pcm_u8", "pcm_f32le", "pcm_s24le"}),
    "flac": frozenset({"flac"}),
    "aac": frozenset({"aac"}),
    "mov": frozenset({"aac", "mp3", "flac"}),
    "ogg": frozenset({"vorbis", "opus", "flac"}),
    "matroska": frozenset({"vorbis", "opus"}),
}
_VIDEO: dict[str, frozenset[str]] = {
    "mov": frozenset({"h264"}),
    "matroska": frozenset({"vp8", "vp9", "av1"}),
}


def plays_in_browsers(info: MediaInfo) -> bool:
    """Say whether a page can play the file itself."""
    container = info.container.split(",")[0]
    if info.audio is None or info.audio.codec not in _AUDIO_ONLY.get(container, frozenset()):
        return False
    return info.video is None or info.video.codec in _VIDEO.get(container, frozenset())
