"""The error tree: each failure has a code, a sentence for people, and knows if a retry helps.

Subclasses set `code` and `retryable`, pass every constructor argument to `super().__init__` (so
that pickling and copying rebuild them) and give the sentence in `__str__`. Sentences are shown to
users: no local path, no address, no secret, no traceback. What operators need goes into `detail`,
for the log.
"""

from __future__ import annotations


class ProofreelError(Exception):
    """Base of every error of ours. `str(error)` is a sentence for people."""

    code = "internal_error"
    retryable = False

    @property
    def detail(self) -> str:
        """What an operator needs to see in the log; may name paths."""
        return ""

    @property
    def data(self) -> dict[str, bool]:
        """What the job engine keeps of the error, besides its code and sentence."""
        return {"retryable": self.retryable}


class InvalidInput(ProofreelError):
    """The request or file is wrong in a way its sender can mend."""

    code = "invalid_input"


class NotFound(ProofreelError):
    """The named thing is not there (or not the caller's)."""

    code = "not_found"


class Conflict(ProofreelError):
    """The thing is there but in a state that forbids the action."""

    code = "conflict"


class Unavailable(ProofreelError):
    """Something we depend on is not answering; the same request may succeed later."""

    code = "unavailable"
    retryable = True


class Misconfigured(ProofreelError):
    """A setting or an installed part is wrong; an operator must act."""

    code = "misconfigured"


class MediaError(InvalidInput):
    """The file cannot be used as a recording."""

    code = "media_unusable"


class SpeechError(ProofreelError):
    """Speech recognition did not finish."""

    code = "speech_failed"


class JobCancelled(ProofreelError):
    """The job was cancelled or taken from this worker: stop at once, write nothing more."""

    code = "cancelled"

    def __str__(self) -> str:
        return "The job was cancelled."


class TimeLimitExceeded(ProofreelError):
    """`action` took longer than `limit_s` seconds and was stopped."""

    code = "time_limit"

    def __init__(self, action: str, limit_s: float) -> None:
        super().__init__(action, limit_s)
        self.action, self.limit_s = action, limit_s

    def __str__(self) -> str:
        return f"It took more than {self.limit_s:g} s to {self.action}, so it was stopped."
