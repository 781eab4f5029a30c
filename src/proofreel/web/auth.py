"""Who may do what: the API key in a header, or the page's session cookie with its CSRF token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, current_app, request, session
from flask.sessions import SecureCookieSessionInterface

from proofreel.web.errors import CsrfFailed, TooManyAttempts, Unauthorized, WrongOrigin
from proofreel.web.limits import FailureLimiter
from proofreel.web.services import services

P = ParamSpec("P")
R = TypeVar("R")

LIMITER = "proofreel.failures"
SESSION_DAYS = 30
_OPEN = "proofreel_open_to_all"
# Parts whose views need no key of their own: the pages guard themselves by `needs_session`.
_OPEN_BLUEPRINTS = frozenset(("openapi", "swagger", "pages"))
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_FORM = "application/x-www-form-urlencoded"


class SessionCookie(SecureCookieSessionInterface):
    """Flask's signed cookie, `Secure` whenever the visitor's connection is."""

    digest_method = staticmethod(hashlib.sha256)

    def get_cookie_secure(self, app: Flask) -> bool:
        return is_https()


def is_https() -> bool:
    """Tell whether the visitor reached us over TLS, ours or that of the proxy at `public_url`."""
    public = urlsplit(services().public_url or "")
    return request.is_secure or (public.scheme == "https" and public.netloc == request.host)


def start_session(key: str) -> bool:
    """Sign this browser in if `key` is right; tell whether it was.

    Raises WrongOrigin for a form on another site, TooManyAttempts after many wrong keys.
    """
    _check_origin()
    if not key_is_right(key):
        return False
    session.clear()
    session.permanent = True
    session["key"] = _key_mark(key.strip())
    session["csrf"] = secrets.token_urlsafe(32)
    return True


def end_session() -> None:
    """Sign this browser out."""
    session.clear()


def signed_in() -> bool:
    """Tell whether the request's cookie is ours and its key is still accepted."""
    mark = session.get("key")
    if not isinstance(mark, str) or not isinstance(session.get("csrf"), str):
        return False
    known = [_key_mark(key) for key in services().api_keys]
    matches = [hmac.compare_digest(mark.encode(), other.encode()) for other in known]
    return any(matches)


def csrf_token() -> str:
    """Return the token that a page of this session sends back; "" when signed out."""
    return cast(str, session["csrf"]) if signed_in() else ""


def check_session() -> None:
    """Raise Unauthorized, CsrfFailed or WrongOrigin unless this session may send this request."""
    if not signed_in():
        raise Unauthorized
    if request.method in _SAFE_METHODS:
        return
    _check_origin()
    sent = request.headers.get("X-CSRF-Token", "")
    if not sent and request.mimetype == _FORM:
        sent = request.form.get("csrf_token", "")
    if not hmac.compare_digest(sent.encode(), csrf_token().encode()):
        raise CsrfFailed


def needs_session(view: Callable[P, R]) -> Callable[P, R]:
    """Let only signed-in browsers reach `view`; unsafe methods also need the CSRF token."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        check_session()
        return view(*args, **kwargs)

    return guarded


def open_to_all(view: Callable[P, R]) -> Callable[P, R]:
    """Mark `view` as one that needs no key."""
    setattr(view, _OPEN, True)
    return view


def guard() -> None:
    """Before every request: refuse it unless its view is open to all or it may be here."""
    endpoint = request.endpoint
    if endpoint is None or endpoint == "static" or request.blueprint in _OPEN_BLUEPRINTS:
        return
    if not getattr(current_app.view_functions[endpoint], _OPEN, False):
        check_access()


def check_access() -> None:
    """Raise unless the request carries a right key or a session that may send it.

    A key in the header decides alone: a wrong one is refused even beside a good cookie.
    """
    header = request.headers.get("Authorization")
    if header is None:
        check_session()
    elif not key_is_right(_key_of(header)):
        raise Unauthorized


def key_is_right(key: str) -> bool:
    """Compare `key` with every accepted key in constant time.

    Raises TooManyAttempts once this address tried too many wrong ones; a right key always passes.
    """
    digest = _digest(key.strip())
    matches = [hmac.compare_digest(digest, _digest(known)) for known in services().api_keys]
    if any(matches):
        return True
    limiter = cast(FailureLimiter, current_app.extensions[LIMITER])
    wait_s = limiter.note_failure(request.remote_addr)
    if wait_s:
        raise TooManyAttempts(wait_s)
    return False


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def _key_of(header: str) -> str:
    scheme, _, rest = header.strip().partition(" ")
    return rest if scheme.lower() == "bearer" and rest else header


def _key_mark(key: str) -> str:
    """Return what the cookie says about its key: useless without the cookie secret."""
    return hmac.new(services().cookie_secret, key.encode(), hashlib.sha256).hexdigest()


def _check_origin() -> None:
    origin = request.headers.get("Origin")
    if origin is None:
        return
    ours = {request.host}
    if services().public_url:
        ours.add(urlsplit(services().public_url or "").netloc)
    if urlsplit(origin).netloc not in ours:
        raise WrongOrigin
