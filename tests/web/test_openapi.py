"""The schema tells the truth, and its page works without a line from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.helpers import Site, body
from tests.web.test_auth import OPEN, OPEN_PREFIXES, routes

# Routes whose every answer has the same form, a bad one too.
OWN_ANSWERS = {("/check_api_key", "401"), ("/health/ready", "503")}
METHODS = ("get", "post", "put", "patch", "delete")
PAGES = ("/assets/", "/jobs/", "/session", "/sample", "/favicon.ico", "/static/", "/openapi")


@pytest.fixture
def schema(site: Site) -> dict[str, Any]:
    return body(site.client.get("/openapi/openapi.json"))


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield method, path, operation


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_every_route_of_the_api_is_in_the_schema(site: Site, schema: dict[str, Any]) -> None:
    documented = {(method.upper(), path) for method, path, _ in operations(schema)}
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for method, rule, _ in routes(site)
        if rule.rule != "/" and not rule.rule.startswith(PAGES)
    }

    assert served == documented
    assert len(documented) == 18


def test_every_operation_says_what_it_does_takes_and_gives(schema: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(set(names)) == len(names)
    for method, path, operation in operations(schema):
        where = (method, path)
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"], where
        in_path = {
            found["name"] for found in operation.get("parameters", ()) if found["in"] == "path"
        }
        assert in_path == set(re.findall(r"{(\w+)}", path)), where
        statuses = set(operation["responses"])
        assert statuses & {"200", "202", "204"}, where
        assert {"400", "429", "500", "503"} <= statuses, where
        for status, answer in operation["responses"].items():
            assert answer["description"], (where, status)
            if status >= "400" and (path, status) not in OWN_ANSWERS:
                content = answer["content"]["application/json"]["schema"]
                assert content == {"$ref": "#/components/schemas/ErrorBody"}, (where, status)


def test_every_operation_that_needs_the_key_says_so(schema: dict[str, Any]) -> None:
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for method, path, operation in operations(schema):
        open_to_all = path in OPEN or path.startswith(OPEN_PREFIXES)
        assert operation.get("security", []) == ([] if open_to_all else [{"key": []}]), (
            method,
            path,
        )


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    found = set(references(schema))

    assert found
    assert found <= known


def test_bodies_are_described(schema: dict[str, Any]) -> None:
    submit = schema["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    upload = schema["paths"]["/upload"]["post"]["requestBody"]["content"]
    convert = schema["paths"]["/convert_and_transcribe"]["post"]["requestBody"]["content"]

    fields = submit["multipart/form-data"]["schema"]["properties"]
    assert set(fields) == {"file", "model", "language", "task", "prompt"}
    assert fields["file"] == {"type": "string", "format": "binary"}
    assert submit["application/json"]["schema"]["required"] == ["filename"]
    assert upload["multipart/form-data"]["schema"]["required"] == ["file"]
    assert "application/x-www-form-urlencoded" in convert


def test_the_docs_page_needs_no_key_and_nothing_from_elsewhere(site: Site) -> None:
    moved = site.client.get("/openapi", follow_redirects=True)
    page = site.client.get("/openapi/swagger")

    assert moved.status_code == 200
    assert moved.request.path == "/openapi/swagger"
    assert "http://" not in page.text
    assert "https://" not in page.text
    for link in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert site.client.get(f"/openapi/{link}", buffered=True).status_code == 200, link


def test_the_one_script_of_the_docs_page_runs_by_a_fresh_nonce(site: Site) -> None:
    pages = [site.client.get("/openapi/swagger") for _ in range(2)]

    nonces = [re.search(r'nonce="([^"]+)"', page.text) for page in pages]
    assert nonces[0]
    assert nonces[1]
    assert nonces[0][1] != nonces[1][1]
    for page, nonce in zip(pages, nonces, strict=True):
        assert nonce
        policy = page.headers["Content-Security-Policy"]
        assert f"script-src 'self' 'nonce-{nonce[1]}';" in policy
        assert "unsafe" not in policy
