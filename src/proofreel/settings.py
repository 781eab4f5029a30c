"""Every knob, read once from the environment; a wrong value stops the start by its name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import (
    AliasChoices,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from proofreel.errors import Misconfigured

_SECRET_NAME = re.compile("key|token|secret|password|sig", re.IGNORECASE)
_SECRET_CHARS = 16  # a webhook's path as long as this may be all that keeps strangers out


class SettingsError(Misconfigured):
    """One or more variables hold values that cannot be used; `problems` has a sentence for each."""

    code = "settings_invalid"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "The settings cannot be used. " + " ".join(self.problems)


def _fixed(*names: str) -> AliasChoices:
    """Names that users' deployments already set, without our prefix."""
    return AliasChoices(*names)


class Settings(BaseSettings):
    """Every knob. Names in capitals without the prefix are fixed by deployments of the old demo."""

    model_config = SettingsConfigDict(
        env_prefix="PROOFREEL_",
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        env_ignore_empty=True,
    )

    # What existing deployments set
    api_key: SecretStr | None = Field(
        None, validation_alias=_fixed("API_KEY")
    )  # unset: one is made
    webhook_url: str | None = Field(None, validation_alias=_fixed("WEBHOOK_URL"))
    max_file_size: PositiveInt = Field(26_214_400, validation_alias=_fixed("MAX_FILE_SIZE"))
    ffmpeg_binary: str | None = Field(None, validation_alias=_fixed("FFMPEG_BINARY"))

    # The bucket. Set: recordings and results lie there instead of in data_dir
    s3_bucket: str | None = Field(None, validation_alias=_fixed("S3_BUCKET"))
    s3_endpoint: str | None = Field(None, validation_alias=_fixed("S3_ENDPOINT"))  # unset: AWS
    s3_access_key: str | None = Field(None, validation_alias=_fixed("S3_ACCESS_KEY"))
    s3_secret_key: SecretStr | None = Field(None, validation_alias=_fixed("S3_SECRET_KEY"))
    s3_region: str | None = Field(None, validation_alias=_fixed("AWS_REGION", "AWS_DEFAULT_REGION"))
    s3_addressing: Literal["auto", "path", "virtual"] = "auto"
    s3_links: Literal["presigned", "public", "service"] = "presigned"
    s3_link_ttl_s: int = Field(900, ge=1, le=7 * 24 * 3600)  # the protocol allows a week
    s3_public_endpoint: str | None = None  # unset: clients reach the bucket as we do
    s3_public_url: str | None = None  # unset: public links are made of endpoint and bucket

    # Where state lives: one folder holds all of it
    data_dir: Path = Path("data")
    models_dir: Path | None = None  # unset: data_dir/models
    database_url: str | None = None  # unset: SQLite in data_dir

    # The service
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535, validation_alias=_fixed("PROOFREEL_PORT", "PORT"))
    web_threads: PositiveInt = 32
    max_upload_bytes: PositiveInt = 20 * 1024**3
    min_free_bytes: int = Field(512 * 1024**2, ge=0)  # below this an upload is refused
    public_url: str | None = None  # how the outside reaches us; unset: as the request came
    retention_days: int = Field(0, ge=0)  # 0: keep for ever
    log_format: Literal["console", "json"] = "console"
    metrics_port: int | None = Field(None, ge=1, le=65535)  # of a worker by itself; unset: none
    metrics_host: str = "127.0.0.1"

    # Speech
    model: str = "base"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = "auto"
    threads: int = Field(0, ge=0)  # 0: as many as the machine has
    beam_size: PositiveInt = 1
    batch_size: PositiveInt = 8

    # Work
    worker_jobs: PositiveInt = 2  # jobs one worker has in hand; only one of them transcribes
    stop_grace_s: float = Field(8, ge=0, le=3600)  # what a stop lets jobs under way finish
    max_duration_s: PositiveInt = 12 * 3600
    extract_timeout_s: PositiveInt = 3600
    scale_timeout_s: PositiveInt = 4 * 3600

    # Review
    silence_at_least_ms: PositiveInt = 2000
    silence_below_dbfs: float | None = Field(None, le=0)  # unset: from the noise floor

    # Webhook
    webhook_secret: SecretStr | None = None  # unset: messages are not signed
    webhook_allow_private: bool = False

    @field_validator("port", mode="before")
    @classmethod
    def _port_not_of_kubernetes(cls, value: object) -> object:
        """Pass over what Kubernetes sets beside a Service that is called proofreel."""
        return 8000 if isinstance(value, str) and value.startswith("tcp://") else value

    @field_validator("metrics_port", mode="before")
    @classmethod
    def _metrics_port_not_of_kubernetes(cls, value: object) -> object:
        """The same of a Service that is called proofreel-metrics."""
        return None if isinstance(value, str) and value.startswith("tcp://") else value

    @field_validator(
        "webhook_url", "public_url", "s3_endpoint", "s3_public_endpoint", "s3_public_url"
    )
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        wrong = ValueError("must be an http:// or https:// address")
        if value and not value.startswith(("http://", "https://")):
            raise wrong
        try:
            urlsplit(value or "")
        except ValueError:
            raise wrong from None
        return value or None

    @field_validator("s3_bucket")
    @classmethod
    def _bucket_name(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", value):
            raise ValueError("must be the name of a bucket alone, without address or folder")
        return value or None

    @field_validator("public_url")
    @classmethod
    def _no_slash_at_the_end(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else None

    @field_validator("webhook_secret")
    @classmethod
    def _webhook_secret(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value and value.get_secret_value() else None

    @field_validator("api_key")
    @classmethod
    def _api_key(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value() if value else ""
        if not key.isascii() or key != key.strip():
            raise ValueError("must be plain ASCII without spaces around it")
        return value if key else None

    @model_validator(mode="after")
    def _whole_bucket(self) -> Self:
        keys = (self.s3_access_key, self.s3_secret_key)
        if any(keys) and not all(keys):
            raise ValueError("S3_ACCESS_KEY and S3_SECRET_KEY belong together: set both or none")
        if not self.s3_bucket and (self.s3_endpoint or any(keys)):
            raise ValueError("S3_BUCKET must name the bucket that the other S3_ variables are for")
        return self

    @property
    def models_path(self) -> Path:
        return (self.models_dir or self.data_dir / "models").expanduser().absolute()

    @property
    def data_path(self) -> Path:
        return self.data_dir.expanduser().absolute()

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the one database that jobs, deliveries and the engine share."""
        return self.database_url or f"sqlite:///{self.data_path / 'proofreel.sqlite'}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that must never be told, the log included."""
        found = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                secret = value.get_secret_value()
                parts = secret.split() if secret.startswith("whsec_") else [secret]
                found += [*parts, *(part.removeprefix("whsec_") for part in parts)]
            elif isinstance(value, str) and "://" in value:
                found += _secrets_of(value, whole_query=name == "webhook_url")
        hook = urlsplit(self.webhook_url or "")
        found += [hook.path] if len(hook.path) >= _SECRET_CHARS else []
        return tuple(found)


def _secrets_of(address: str, *, whole_query: bool) -> list[str]:
    """Return the password of an address and the secrets of its query, however odd it looks.

    A password may hold what addresses should not (`/`, `#`, `[`): up to the last "@" it is one.
    """
    rest = address.partition("://")[2]
    user, _, _ = rest.rpartition("@")
    password = user.partition(":")[2]
    pairs = parse_qs(address.partition("?")[2])
    values = [
        each
        for name, values in pairs.items()
        for each in values
        if _SECRET_NAME.search(name) or (whole_query and len(each) >= _SECRET_CHARS)
    ]
    return [password, unquote(password), *values]


def load_settings(**overrides: object) -> Settings:
    """Read the settings. Raises SettingsError naming each wrong variable and what it should be."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # checked by pydantic itself
    except ValidationError as exc:
        raise SettingsError(tuple(_problem(dict(error)) for error in exc.errors())) from None


def _problem(error: dict[str, object]) -> str:
    location = error["loc"]
    reason = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "should be")
    if not isinstance(location, tuple) or not location:  # of several variables: it names them
        return f"{reason}."
    field = str(location[0])
    variable = field if field.isupper() else f"PROOFREEL_{field.upper()}"
    if variable == "PROOFREEL_PORT" and not os.environ.get(variable):
        variable = "PORT"  # which platforms set; it counts only where ours is unset
    return f"{variable} {reason}."
