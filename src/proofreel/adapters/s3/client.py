"""The connection to the S3 service, and its errors turned into the storage's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import ConnectionError as S3ConnectionError
from urllib3.exceptions import HTTPError

from proofreel.adapters.storage import StorageFull, StorageMisconfigured, StorageUnavailable

Addressing = Literal["auto", "path", "virtual"]
Links = Literal["presigned", "public", "service"]

_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 20  # without a single byte; the next try may go to a healthy server
_TRIES = 5  # with a random pause of up to 1, 2, 4, 8 s between them ("standard" retries)
_BRISK_TRIES = 2
_HASTY_TIMEOUT_S = 3
_DEFAULT_REGION = "us-east-1"  # what services without regions answer to

# What breaks off the bytes of an answer that had begun; the client itself tries only whole calls.
BROKEN_OFF = (
    S3ConnectionError,
    HTTPError,
    IncompleteReadError,
    OSError,
    ReadTimeoutError,
    ResponseStreamingError,
)

_WRONG_KEY = (
    "The S3 service does not accept the keys: check S3_ACCESS_KEY and S3_SECRET_KEY "
    "(and AWS_SESSION_TOKEN, if they are temporary)."
)
_NOT_ALLOWED = (
    "The keys may not use the bucket that S3_BUCKET names: it needs the rights to list it and to "
    "read, write and delete its objects."
)
_NO_BUCKET = "The bucket that S3_BUCKET names does not exist: make it, or correct the name."
_WRONG_REGION = "The bucket is in another region: set AWS_REGION to its region."
_WRONG_CLOCK = "The S3 service refuses our clock: set the time of this machine right."
_PROBLEMS = {
    "InvalidAccessKeyId": _WRONG_KEY,
    "SignatureDoesNotMatch": _WRONG_KEY,
    "InvalidToken": _WRONG_KEY,
    "ExpiredToken": _WRONG_KEY,
    "AccessDenied": _NOT_ALLOWED,
    "AllAccessDisabled": _NOT_ALLOWED,
    "403": _NOT_ALLOWED,
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": _NO_BUCKET,
    "PermanentRedirect": _WRONG_REGION,
    "AuthorizationHeaderMalformed": _WRONG_REGION,
    "301": _WRONG_REGION,
    "RequestTimeTooSkewed": _WRONG_CLOCK,
}
_FULL = (
    "XMinioStorageFull",
    "InsufficientStorage",
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
)
MISSING = ("NoSuchKey", "404", "NotFound")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Which bucket, and how it is reached.

    Without keys those of the AWS defaults are used (variables, profile, role of the machine).
    `region` None: the AWS default, else us-east-1. `endpoint` None: AWS itself. `public_endpoint`
    is how clients reach the service where it differs; `public_url` the base of public links.
    """

    bucket: str
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    region: str | None = None
    addressing: Addressing = "auto"
    links: Links = "presigned"
    link_ttl_s: int = 900
    public_endpoint: str | None = None
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class Clients:
    """Ways to one bucket: `patient` tries for minutes, `brisk` for seconds, `hasty` once; `outside`
    makes links for those who reach the service by another address."""

    patient: Any
    brisk: Any
    hasty: Any
    outside: Any


def make_clients(settings: S3Settings) -> Clients:
    """Return the clients; safe to share between threads, not over a fork.

    Raises StorageMisconfigured.
    """
    with misconfigured():
        session = boto3.session.Session(
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            aws_session_token=_session_token(settings.access_key),
        )
        here, public = settings.endpoint, settings.public_endpoint
        patient = _client(settings, session, here, _READ_TIMEOUT_S, _TRIES)
        brisk = _client(settings, session, here, _CONNECT_TIMEOUT_S, _BRISK_TRIES)
        hasty = _client(settings, session, here, _HASTY_TIMEOUT_S, 1)
        outside = _client(settings, session, public, _HASTY_TIMEOUT_S, 1) if public else patient
    return Clients(patient, brisk, hasty, outside)


def _client(
    settings: S3Settings, session: boto3.Session, endpoint: str | None, timeout_s: int, tries: int
) -> Any:
    config = Config(
        signature_version="s3v4",
        connect_timeout=min(timeout_s, _CONNECT_TIMEOUT_S),
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=50,
        tcp_keepalive=True,
        # Many services know none of the newer checksums, and all of them the digest within the
        # signature: every body is signed, over TLS, too.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": _addressing(settings, endpoint), "payload_signing_enabled": True},
    )
    region = settings.region or session.region_name or _DEFAULT_REGION
    return session.client("s3", endpoint_url=endpoint, region_name=region, config=config)


def _session_token(access_key: str | None) -> str | None:
    """Return the token of the environment, unless it belongs to other keys of the environment."""
    if access_key and os.environ.get("AWS_ACCESS_KEY_ID", access_key) == access_key:
        return os.environ.get("AWS_SESSION_TOKEN") or None
    return None


def _addressing(settings: S3Settings, endpoint: str | None) -> str:
    """Return path style for services of one's own: a name for every bucket needs DNS and TLS."""
    if settings.addressing != "auto":
        return settings.addressing
    host = (endpoint or "https://s3.amazonaws.com").partition("://")[2].partition("/")[0]
    return "virtual" if host.partition(":")[0].endswith(".amazonaws.com") else "path"


@contextmanager
def misconfigured() -> Iterator[None]:
    """Turn what the library says of unusable settings into StorageMisconfigured."""
    try:
        yield
    except (BotoCoreError, ValueError) as error:
        problem = "The S3 settings cannot be used: check S3_ENDPOINT and AWS_REGION."
        raise StorageMisconfigured(problem, str(error)) from error


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise the storage's errors (it could not `action`) for the library's inside."""
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in _FULL:
            raise StorageFull from error
        if code in _PROBLEMS:
            raise StorageMisconfigured(_PROBLEMS[code], _reason(error)) from error
        raise StorageUnavailable(action, _reason(error)) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        problem = "There are no keys for the S3 service: set S3_ACCESS_KEY and S3_SECRET_KEY."
        raise StorageMisconfigured(problem, str(error)) from error
    except SSLError as error:
        problem = (
            "The certificate of the S3 service is not trusted: "
            "set AWS_CA_BUNDLE to the file of its authority's certificate."
        )
        raise StorageMisconfigured(problem, str(error)) from error
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise StorageUnavailable("be reached", str(error)) from error
    except (BotoCoreError, HTTPError) as error:
        raise StorageUnavailable(action, f"{type(error).__name__}: {error}") from error


def error_code(error: ClientError) -> str:
    """Return the service's own word for what is wrong; the HTTP status where it sends none."""
    found = error.response.get("Error", {}).get("Code")
    return str(found or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))


def _reason(error: ClientError) -> str:
    """Return operation, code and message: the whole error holds what was signed."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    return f"{error.operation_name}: {error_code(error)} {message[:300]}".rstrip()
