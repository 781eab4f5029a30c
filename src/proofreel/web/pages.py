"""The pages for people: sign in, the list of recordings, one recording; and their fragments."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from proofreel.adapters.storage import Label
from proofreel.core.jobs import JOB_STATUSES, Job, JobStatus
from proofreel.core.media_types import media_type
from proofreel.core.model import JobSpec, SpeechOptions
from proofreel.web.assets import asset_url, send_asset
from proofreel.web.auth import csrf_token, end_session, needs_session, signed_in, start_session
from proofreel.web.demo import demo_tape
from proofreel.web.errors import NoSuchThing, TooManyAttempts
from proofreel.web.findings import Review, review_of
from proofreel.web.format import STATUS_WORDS, size_words
from proofreel.web.jobs_api import submit
from proofreel.web.languages import language_choices
from proofreel.web.services import services
from proofreel.web.uploads import new_upload_key
from proofreel.web.view import JobView, captions, has_picture, job_view, sources

bp = Blueprint("pages", __name__, template_folder="templates")
PAGE_ROWS = 50


@bp.app_context_processor
def _shared() -> dict[str, Any]:
    """Give every template, the error page's included, what the frame of a page needs."""
    return {
        "asset": asset_url,
        "csrf_token": csrf_token,
        "demo_tape": demo_tape,
        "signed_in": signed_in,
    }


@bp.get("/assets/<version>/<path:name>")
def asset(version: str, name: str) -> Response:
    """Serve one of our style sheets, scripts and pictures; no key needed."""
    return send_asset(version, name)


@bp.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    """Send browsers that ask without being told to where our icon is."""
    return redirect(asset_url("favicon.svg"), code=301)


@bp.get("/")
def home() -> ResponseReturnValue:
    """Show the recordings, or the way in."""
    if not signed_in():
        return _sign_in_page()
    status = _status(request.args.get("status", ""))
    search = request.args.get("q", "").strip()
    page = services().jobs.list(
        status=status, search=search, limit=PAGE_ROWS, cursor=request.args.get("cursor") or None
    )
    now_ms = _now_ms()
    asked = {"q": search, "status": status or ""}
    more = {**asked, "cursor": page.next_cursor or ""}
    return render_template(
        "upload.html",
        rows=[job_view(job, now_ms) for job in page.items],
        asked=asked,
        filtered=bool(search or status or request.args.get("cursor")),
        more="/?" + urlencode({k: v for k, v in more.items() if v}) if page.next_cursor else "",
        statuses=STATUS_WORDS,
        languages=language_choices(),
        models=services().models,
        default_model=services().default_model,
        max_upload_bytes=services().max_upload_bytes,
        max_upload=size_words(services().max_upload_bytes),
        sample=services().sample is not None,
    )


@bp.get("/jobs/<job_id>")
def job_page(job_id: str) -> ResponseReturnValue:
    """Show one recording: what is being done to it, or what was found in it."""
    if not signed_in():
        return _sign_in_page()
    job = services().jobs.get(job_id)
    return render_template(
        "job.html",
        sources=sources(job),
        captions=captions(job),
        picture=has_picture(job),
        **_desk(job),
    )


@bp.get("/jobs/<job_id>/row")
@needs_session
def job_row(job_id: str) -> ResponseReturnValue:
    """Return the recording's row of the list, to put in place of an older one."""
    job = services().jobs.get(job_id)
    return render_template("_row.html", row=job_view(job, _now_ms()))


@bp.get("/jobs/<job_id>/panel")
@needs_session
def job_panel(job_id: str) -> ResponseReturnValue:
    """Return the parts of the job page that change while the job runs, each with its id."""
    return render_template("_panel.html", **_desk(services().jobs.get(job_id)))


@bp.post("/session")
def sign_in() -> ResponseReturnValue:
    """Let a browser in that brings the right key, and send it where it wanted to go."""
    target = _own_path(request.form.get("next", ""))
    try:
        right = start_session(request.form.get("key", ""))
    except TooManyAttempts as refused:
        page = _sign_in_page(target, str(refused), status=429)
        page.headers["Retry-After"] = str(refused.retry_after_s)
        return page
    if right:
        return redirect(target, code=303)
    typed = bool(request.form.get("key", "").strip())
    wrong = "That is not the key of this server. Check for a missing character at either end."
    return _sign_in_page(target, wrong if typed else "Enter the key first.", status=401)


@bp.post("/session/delete")
@needs_session
def sign_out() -> ResponseReturnValue:
    """End the session of this browser."""
    end_session()
    return redirect(url_for("pages.home"), code=303)


@bp.post("/sample")
@needs_session
def try_sample() -> ResponseReturnValue:
    """Send the sample recording through, and show it being worked on."""
    sample = services().sample
    if sample is None:
        raise NoSuchThing("This server has no sample recording.")
    ref = services().storage.put_file(
        new_upload_key(sample.name), sample, label=Label(media_type(sample.name), sample.name)
    )
    options = SpeechOptions(model=services().default_model)
    job = submit(JobSpec(ref, sample.name, options))
    return redirect(url_for("pages.job_page", job_id=job.id), code=303)


def _sign_in_page(target: str | None = None, error: str = "", *, status: int = 200) -> Response:
    page = render_template("signin.html", next=target or request.path, error=error)
    return Response(page, status=status, mimetype="text/html")


def _own_path(target: str) -> str:
    """Return `target` if it is a page of ours, else the home page: never another site."""
    safe = target.startswith("/jobs/") and target.removeprefix("/jobs/").isalnum()
    return target if safe else "/"


def _desk(job: Job) -> dict[str, object]:
    view: JobView = job_view(job, _now_ms())
    review: Review | None = review_of(job, services().storage) if job.result else None
    return {"view": view, "review": review}


def _status(text: str) -> JobStatus | None:
    return next((status for status in JOB_STATUSES if status == text), None)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
