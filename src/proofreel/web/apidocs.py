"""The docs page at /openapi: Swagger UI from the installed wheel, without a line from elsewhere."""

from __future__ import annotations

import secrets

from flask import Flask, Response, g, redirect, request
from flask.typing import ResponseReturnValue

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Proofreel API</title>
<link rel="icon" href="swagger/images/swagger.svg">
<link rel="stylesheet" href="swagger/css/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="swagger/js/swagger-ui-bundle.js"></script>
<script nonce="{{ g.script_nonce }}">
SwaggerUIBundle({
  url: "{{ doc_url }}", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis]
});
</script>
</body>
</html>
"""


def register_docs(app: Flask) -> None:
    """Serve the page under a policy that allows its one script by a nonce, and no other."""
    app.config["SWAGGER_HTML_STRING"] = _PAGE
    app.before_request(_begin)
    app.after_request(_finish)


def _begin() -> ResponseReturnValue | None:
    if request.endpoint == "openapi.openapi":
        return redirect("/openapi/swagger")
    if request.endpoint == "swagger.swagger":
        g.script_nonce = secrets.token_urlsafe(16)
    return None


def _finish(response: Response) -> Response:
    if "script_nonce" in g:
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'self' 'nonce-{g.script_nonce}'; "
            "style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "font-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    return response
