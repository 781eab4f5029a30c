"""What can be wrong with a recording, and with our handling of it.

The first group is the sender's to mend and never retried; `detail` carries FFmpeg's own words.
"""

from __future__ import annotations

from proofreel.errors import MediaError, Misconfigured, ProofreelError, Unavailable


class FfmpegNotFound(Misconfigured):
    """There is no FFmpeg to run; `detail` says where we looked."""

    code = "ffmpeg_not_found"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self._detail = detail

    @property
    def detail(self) -> str:
        return self._detail

    def __str__(self) -> str:
        return (
            "FFmpeg was not found. Install ffmpeg, set FFMPEG_BINARY to its path, "
            "or install the Python package imageio-ffmpeg."
        )


class _Detailed(MediaError):
    """A MediaError with FFmpeg's last line as `detail`."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self._detail = detail

    @property
    def detail(self) -> str:
        return self._detail


class MediaEmpty(_Detailed):
    """No bytes, or a container without a single sample of sound."""

    code = "media_empty"

    def __str__(self) -> str:
        return "The file is empty: there is no sound in it."


class MediaUnreadable(_Detailed):
    """Not audio or video, or too damaged to decode anything."""

    code = "media_unreadable"

    def __str__(self) -> str:
        return "The file could not be read as audio or video. It may be damaged or of another kind."


class MediaFormatRefused(_Detailed):
    """A format that we do not open: playlists and descriptions that point to other files."""

    code = "media_format_refused"

    def __str__(self) -> str:
        return "This kind of file is not accepted. Send an audio or video file, not a playlist."


class MediaNoAudio(_Detailed):
    """A readable file without an audio stream."""

    code = "media_no_audio"

    def __str__(self) -> str:
        return "The file has no audio track, so there is nothing to transcribe."


class MediaTooLong(MediaError):
    """Longer than the limit, by its header or once decoded."""

    code = "media_too_long"

    def __init__(self, limit_ms: int) -> None:
        super().__init__(limit_ms)
        self.limit_ms = limit_ms

    def __str__(self) -> str:
        return f"The recording is longer than {self.limit_ms / 3_600_000:.3g} hours."


class MediaTooManyStreams(MediaError):
    """More tracks than any real recording has."""

    code = "media_too_many_streams"

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(count, limit)
        self.count, self.limit = count, limit

    def __str__(self) -> str:
        return f"The file has {self.count} tracks; at most {self.limit} are accepted."


class MediaTooLargePicture(MediaError):
    """A picture that would take too much memory to decode."""

    code = "media_too_large_picture"

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.width, self.height = width, height

    def __str__(self) -> str:
        return f"The picture of {self.width} by {self.height} pixels is too large."


class MediaDiskFull(Unavailable):
    """No room for what was being written; works again once there is."""

    code = "disk_full"

    def __init__(self, action: str, detail: str) -> None:
        super().__init__(action, detail)
        self.action, self._detail = action, detail

    @property
    def detail(self) -> str:
        return self._detail

    def __str__(self) -> str:
        return f"The server has no room left to {self.action}."


class MediaToolKilled(Unavailable):
    """The media program was killed from outside, most likely for lack of memory."""

    code = "media_tool_killed"

    def __init__(self, action: str, detail: str) -> None:
        super().__init__(action, detail)
        self.action, self._detail = action, detail

    @property
    def detail(self) -> str:
        return self._detail

    def __str__(self) -> str:
        return f"The server stopped the program that was to {self.action}, perhaps to save memory."


class WorkFolderUnwritable(Misconfigured):
    """The directory for results of media work cannot be written to."""

    code = "work_folder_unwritable"

    def __init__(self, action: str, detail: str) -> None:
        super().__init__(action, detail)
        self.action, self._detail = action, detail

    @property
    def detail(self) -> str:
        return self._detail

    def __str__(self) -> str:
        return f"The server could not {self.action}: its work folder cannot be written to."


class ScaleFailed(ProofreelError):
    """FFmpeg could not make the smaller copy; the recording itself may be fine."""

    code = "scale_failed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self._detail = detail

    @property
    def detail(self) -> str:
        return self._detail

    def __str__(self) -> str:
        return "The smaller copy could not be made."


class ScaleMissed(ProofreelError):
    """Two attempts at a smaller copy were both over the limit."""

    code = "scale_missed"

    def __init__(self, size_bytes: int, max_bytes: int) -> None:
        super().__init__(size_bytes, max_bytes)
        self.size_bytes, self.max_bytes = size_bytes, max_bytes

    def __str__(self) -> str:
        return f"The smaller copy could not be brought under {self.max_bytes} bytes."
