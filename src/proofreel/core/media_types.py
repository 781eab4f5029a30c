"""What a recording is served as, by its name.

By our own table, not the machine's: a stranger's file is never served as a type that can carry
script.
"""

from __future__ import annotations

from proofreel.core.names import stem_and_suffix

UNKNOWN_TYPE = "application/octet-stream"
MEDIA_TYPES = {
    ".3gp": "video/3gpp",
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".avi": "video/x-msvideo",
    ".flac": "audio/flac",
    ".flv": "video/x-flv",
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".mka": "audio/x-matroska",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".opus": "audio/ogg",
    ".ts": "video/mp2t",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".wma": "audio/x-ms-wma",
    ".wmv": "video/x-ms-wmv",
}


def media_type(name: str) -> str:
    """Return the type of a recording by its name; `application/octet-stream` if it has none."""
    return MEDIA_TYPES.get(stem_and_suffix(name)[1].lower(), UNKNOWN_TYPE)
