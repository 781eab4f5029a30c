"""What can be wrong with a request about jobs."""

from __future__ import annotations

from proofreel.errors import Conflict, InvalidInput, NotFound


class JobNotFound(NotFound):
    """No job has this id."""

    code = "job_not_found"

    def __str__(self) -> str:
        return "There is no such job."


class DeliveryNotFound(NotFound):
    """No webhook message has this id."""

    code = "delivery_not_found"

    def __str__(self) -> str:
        return "There is no such webhook delivery."


class JobStateConflict(Conflict):
    """`action` cannot be done to a job that is `status`."""

    code = "job_state"

    def __init__(self, action: str, status: str) -> None:
        super().__init__(action, status)
        self.action, self.status = action, status

    def __str__(self) -> str:
        return f"A job that is {self.status} cannot be {self.action}."


class IdempotencyMismatch(InvalidInput):
    """The Idempotency-Key was used before, for a different request."""

    code = "idempotency_mismatch"

    def __str__(self) -> str:
        return "This Idempotency-Key was already used for a different request."


class BadCursor(InvalidInput):
    """The paging cursor is not one that we gave out."""

    code = "bad_cursor"

    def __str__(self) -> str:
        return "The cursor is not one of this list."
