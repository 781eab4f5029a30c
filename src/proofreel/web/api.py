"""What all parts of the API share: their failures and how callers prove who they are."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel

from proofreel.web.schemas import ErrorBody

Responses = dict[str | int | HTTPStatus, type[BaseModel] | dict[Any, Any] | None]
# What a view returns: body, status, headers. (Flask's own alias cannot be read at run time.)
Body = dict[str, Any]
Answer = Body | tuple[Body | str, int] | tuple[Body, int, dict[str, str]]

SECURITY_SCHEMES: dict[str, Any] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "The API key. `Authorization: KEY` without `Bearer` works as well.",
    }
}
NEEDS_KEY: list[dict[str, list[str]]] = [{"key": []}]
FAILURES: Responses = {
    400: ErrorBody,
    401: ErrorBody,
    429: ErrorBody,
    500: ErrorBody,
    503: ErrorBody,
}


def blueprint(name: str, tag: str, *, prefix: str | None = "/v1") -> APIBlueprint:
    """Return a part of the API whose routes need the key, under one heading of the docs."""
    return APIBlueprint(
        name,
        __name__,
        url_prefix=prefix,
        abp_tags=[Tag(name=tag)],
        abp_security=NEEDS_KEY,
        abp_responses=FAILURES,
    )


def file_response(*types: str) -> dict[str, Any]:
    """Return the OpenAPI form of an answer that is a file."""
    schema = {"type": "string", "format": "binary"}
    return {"content": {kind: {"schema": schema} for kind in types}}
