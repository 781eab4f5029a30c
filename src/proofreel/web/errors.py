"""What the web part itself refuses, and the HTTP status of every error of ours."""

from __future__ import annotations

from proofreel.errors import (
    Conflict,
    InvalidInput,
    Misconfigured,
    NotFound,
    ProofreelError,
    Unavailable,
)

# By code first: these are finer than their family.
_STATUS_BY_CODE = {
    "unauthorized": 401,
    "csrf_failed": 403,
    "wrong_origin": 403,
    "file_too_large": 413,
    "idempotency_mismatch": 422,
    "too_many_attempts": 429,
    "storage_full": 507,
}
_STATUS_BY_FAMILY: tuple[tuple[type[ProofreelError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (Unavailable, 503),
    (InvalidInput, 400),
    (Misconfigured, 500),
)


def http_status(error: ProofreelError) -> int:
    """Return the status that answers `error`: by its code, else by its family, else 500."""
    if error.code in _STATUS_BY_CODE:
        return _STATUS_BY_CODE[error.code]
    return next((status for kind, status in _STATUS_BY_FAMILY if isinstance(error, kind)), 500)


class Unauthorized(ProofreelError):
    """The request came without a key, or with a wrong one."""

    code = "unauthorized"

    def __str__(self) -> str:
        return "This needs the API key, as 'Authorization: Bearer KEY', or a signed-in browser."


class CsrfFailed(ProofreelError):
    """A browser's cookie came without the token of its page."""

    code = "csrf_failed"

    def __str__(self) -> str:
        return "This page is out of date. Load it again and repeat what you did."


class WrongOrigin(ProofreelError):
    """Another site's page sent this request with our visitor's cookie."""

    code = "wrong_origin"

    def __str__(self) -> str:
        return "This request came from a page of another site, so it was refused."


class TooManyAttempts(ProofreelError):
    """An address tried wrong keys too often; it may try again after `retry_after_s` seconds."""

    code = "too_many_attempts"
    retryable = True

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"Too many wrong keys came from here. Try again in {self.retry_after_s} seconds."


class BadRequest(InvalidInput):
    """The request is not what the route takes; `message` says what is wrong with it."""

    code = "invalid_request"

    def __init__(self, message: str, code: str = "invalid_request") -> None:
        super().__init__(message, code)
        self.message, self.code = message, code

    def __str__(self) -> str:
        return self.message


class NoSuchThing(NotFound):
    """What the address names is not there; `message` says so in the words of the route."""

    code = "not_found"

    def __init__(self, message: str, code: str = "not_found") -> None:
        super().__init__(message, code)
        self.message, self.code = message, code

    def __str__(self) -> str:
        return self.message


class StorageLow(Unavailable):
    """Taking the upload would leave too little space."""

    code = "storage_full"

    def __str__(self) -> str:
        return "There is not enough space left to take this file. Delete old jobs, or try later."
