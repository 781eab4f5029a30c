"""What the API takes and gives, as pydantic models: they check requests and make the schema."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.config import JsonDict

from proofreel.core.jobs import JobStatus
from proofreel.core.model import SpeechOptions, Task

MAX_PROMPT_CHARS = 1000
_TIME: JsonDict = {"format": "date-time"}


class ErrorBody(BaseModel):
    """Every failure: a sentence for people and a word for machines."""

    error: str = Field(description="What went wrong, as a sentence for people")
    code: str = Field(description="The same as a word for machines", examples=["job_not_found"])
    request_id: str | None = Field(
        default=None, description="Only with 500: what to look for in the log"
    )


class OptionsBody(BaseModel):
    """How to transcribe. Whatever is left out takes the service's default."""

    model: str | None = Field(default=None, max_length=200, description="Name of the speech model")
    language: str | None = Field(
        default=None, max_length=20, description="Language code such as `en`; left out: detected"
    )
    task: Task = Field(
        default="transcribe", description="`translate` writes English whatever is spoken"
    )
    prompt: str | None = Field(
        default=None,
        max_length=MAX_PROMPT_CHARS,
        description="Names and terms that the speaker uses",
    )

    @field_validator("model", "language", "prompt", mode="after")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return value.strip() or None if value else None

    def options(self, default_model: str) -> SpeechOptions:
        """Return them as the recogniser takes them."""
        language = None if self.language == "auto" else self.language
        return SpeechOptions(self.model or default_model, language, self.task, self.prompt)


class SubmitBody(BaseModel):
    """A job for a recording that `/upload` stored."""

    filename: str = Field(
        min_length=1,
        max_length=1024,
        description="As `/upload` returned it, or the key of any other object of the storage",
    )
    options: OptionsBody = Field(default=OptionsBody())


class ConvertBody(BaseModel):
    """A job with the default options for a recording that `/upload` stored."""

    filename: str = Field(
        min_length=1,
        max_length=1024,
        description="As `/upload` returned it, or the key of any other object of the storage",
    )


class KeyBody(BaseModel):
    """A key to look at."""

    api_key: str = Field(max_length=1000)


class KeyAnswer(BaseModel):
    valid: bool


class HealthAnswer(BaseModel):
    status: Literal["healthy"]
    version: str


class CheckAnswer(BaseModel):
    status: Literal["ok", "failed"]
    message: str = Field(description="How this part is, as a sentence for people")


class ReadyAnswer(BaseModel):
    """`checks` says of each part how it is; `workers` only informs."""

    status: Literal["ready", "not_ready"]
    version: str
    checks: dict[str, CheckAnswer]


class UploadAnswer(BaseModel):
    message: str
    filename: str = Field(description="What `/convert_and_transcribe` takes")
    file_url: str


class AcceptedAnswer(BaseModel):
    message: str
    job_id: str


class ProgressAnswer(BaseModel):
    """A job that is not finished; `progress` is in per cent of the whole."""

    status: Literal["queued", "processing"]
    stage: str
    progress: int


class StatusAnswer(BaseModel):
    """A finished job: with `completed`, each file as `<kind>_filename` and `<kind>_url`."""

    model_config = ConfigDict(extra="allow")

    status: Literal["completed", "failed"]
    message: str | None = None
    error: str | None = None
    code: str | None = None


class OptionsAnswer(BaseModel):
    model: str
    language: str | None
    task: Task
    prompt: str | None


class FailureAnswer(BaseModel):
    """Why a job failed; `retryable`: the same file may work at another try."""

    code: str
    message: str
    retryable: bool


class FileAnswer(BaseModel):
    kind: str
    name: str
    content_type: str
    size: int = Field(description="In bytes")
    purpose: str
    url: str


class ResultAnswer(BaseModel):
    duration: float = Field(description="In seconds")
    language: str
    headline: str
    summary: dict[str, Any]
    files: list[FileAnswer]


class JobAnswer(BaseModel):
    """A recording on its way through the pipeline; times are ISO 8601, UTC."""

    id: str
    name: str
    status: JobStatus
    stage: str
    progress: int = Field(description="0 to 100 over the whole job")
    attempt: int
    created_at: str = Field(json_schema_extra=_TIME)
    updated_at: str = Field(json_schema_extra=_TIME)
    started_at: str | None = Field(json_schema_extra=_TIME)
    finished_at: str | None = Field(json_schema_extra=_TIME)
    options: OptionsAnswer
    error: FailureAnswer | None
    result: ResultAnswer | None


class JobListAnswer(BaseModel):
    """Newest first; `next_cursor` null: that was the last."""

    jobs: list[JobAnswer]
    next_cursor: str | None


class DeliveryTryAnswer(BaseModel):
    at: str = Field(json_schema_extra=_TIME)
    status_code: int | None
    error: str | None


class DeliveryAnswer(BaseModel):
    """A webhook message; its id is the same on every try."""

    id: str
    job_id: str
    event: str
    url: str = Field(description="Of the receiver; path and query are left out: they are secrets")
    state: Literal["pending", "delivered", "failed"]
    created_at: str = Field(json_schema_extra=_TIME)
    next_try_at: str | None = Field(json_schema_extra=_TIME)
    tries: list[DeliveryTryAnswer]


class DeliveryListAnswer(BaseModel):
    deliveries: list[DeliveryAnswer]


class JobPath(BaseModel):
    job_id: str = Field(max_length=40, description="As given when the job was submitted")


class FilePath(JobPath):
    file: str = Field(max_length=300, description="Kind (`srt`, `original`) or name of the file")


class UploadPath(BaseModel):
    upload_id: str = Field(max_length=40)
    name: str = Field(max_length=300)


class DeliveryPath(BaseModel):
    delivery_id: str = Field(max_length=80)


class InlineQuery(BaseModel):
    inline: bool = Field(default=False, description="Show it in the browser instead of saving it")


class ListQuery(BaseModel):
    status: JobStatus | None = None
    q: str = Field(default="", max_length=200, description="A part of the name, in any case")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(
        default=None, max_length=100, description="`next_cursor` of the page before"
    )


class DeliveriesQuery(BaseModel):
    job_id: str | None = Field(default=None, max_length=40)
    limit: int = Field(default=50, ge=1, le=200)


class IdempotencyHeader(BaseModel):
    key: str | None = Field(
        default=None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same request gives the job made first",
    )
