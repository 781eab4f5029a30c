"""Request bodies: JSON, or a form where older clients send one; read, checked, documented."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest as UnreadableBody

from proofreel.web.errors import BadRequest
from proofreel.web.failures import problem_of

M = TypeVar("M", bound=BaseModel)

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def read_body(model: type[M], *, or_form: bool = False) -> M:
    """Return the request's body as `model`.

    Raises BadRequest with the code `invalid_json` for what is no JSON object, `wrong_content_type`
    for another type of body, `invalid_request` naming the field that is missing or wrong.
    """
    if or_form and request.mimetype in _FORMS:
        return checked(model, request.form.to_dict())
    if not request.is_json:
        raise BadRequest("Send the body as application/json.", "wrong_content_type")
    try:
        data = request.get_json()
    except (UnreadableBody, RecursionError):  # the latter: brackets within brackets, thousands deep
        raise BadRequest("The body is not valid JSON.", "invalid_json") from None
    if not isinstance(data, dict):
        raise BadRequest("The body must be a JSON object.", "invalid_json")
    return checked(model, data)


def checked(model: type[M], data: object) -> M:
    """Return `data` as `model`. Raises BadRequest naming the first field that is wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        raise problem_of(exc) from None


def body_schema(model: type[BaseModel], *, or_form: bool = False) -> dict[str, Any]:
    """Return the OpenAPI request body that `read_body` reads."""
    types = ("application/json", *(_FORMS if or_form else ()))
    schema = inline_schema(model)
    return {
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in types}}
    }


def inline_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of `model` with its references resolved."""
    schema = model.model_json_schema()
    shared = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, list):
            return [resolved(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            target = shared[node["$ref"].rpartition("/")[2]]
            return resolved(target) | {k: v for k, v in node.items() if k != "$ref"}
        return {key: resolved(value) for key, value in node.items()}

    found: dict[str, Any] = resolved(schema)
    return found
