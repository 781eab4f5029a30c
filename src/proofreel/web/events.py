"""A job as a stream of server-sent events (https://html.spec.whatwg.org/#server-sent-events)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

from flask import Response, request

from proofreel.adapters.jobs import Jobs
from proofreel.core.jobs import TERMINAL, Job
from proofreel.errors import NotFound, Unavailable
from proofreel.web.api import Responses, blueprint
from proofreel.web.schemas import ErrorBody, JobPath
from proofreel.web.services import services
from proofreel.web.views import base_url, job_answer

POLL_S = 0.5
HEARTBEAT_S = 15.0
RECONNECT_MS = 2000
STREAM_LIMIT_S = 600.0  # then the browser connects again: a dead one is gone for good
MAX_STREAMS = 20  # each holds a thread of the server; the rest must stay free for requests

_streams = threading.BoundedSemaphore(MAX_STREAMS)
_ANSWERS: Responses = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    204: None,
    404: ErrorBody,
}

bp = blueprint("events", "Jobs")


class TooManyStreams(Unavailable):
    """As many pages follow their jobs as this process can serve."""

    code = "too_many_streams"

    def __str__(self) -> str:
        return "Too many pages are following jobs right now. Ask for the job itself instead."


@bp.get("/jobs/<job_id>/events", summary="Follow a job", responses=_ANSWERS)
def follow_job(path: JobPath) -> Response:
    """`event: job` with the job at every change, until it is finished.

    A browser that comes back with the `Last-Event-ID` of the last state gets 204, which tells it
    to stop.
    """
    jobs = services().jobs
    job = jobs.get(path.job_id)
    if job.status in TERMINAL and request.headers.get("Last-Event-ID") == _event_id(job):
        return Response(status=204)
    if not _streams.acquire(blocking=False):
        raise TooManyStreams
    listener, stopping = request.environ.get("gunicorn.socket"), services().stopping
    frames = _stream(jobs, job, base_url(), lambda: stopping() or _has_left(listener))
    response = Response(frames, mimetype="text/event-stream")
    response.call_on_close(_streams.release)
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Cache-Control"] = "no-store"
    return response


def _stream(jobs: Jobs, job: Job, base: str, has_left: Callable[[], bool]) -> Iterator[str]:
    yield f"retry: {RECONNECT_MS}\n\n"
    yield _event(job, base)
    now_s = time.monotonic()
    ends_s, beat_s = now_s + STREAM_LIMIT_S, now_s + HEARTBEAT_S
    while job.status not in TERMINAL and now_s < ends_s and not has_left():
        time.sleep(POLL_S)
        now_s = time.monotonic()
        latest = job
        try:
            latest = jobs.get(job.id)
        except NotFound:
            yield "event: gone\ndata: {}\n\n"
            return
        except Unavailable:
            pass  # the database is away for a moment: the heartbeat goes on, so does the stream
        if latest != job:
            job = latest
            yield _event(job, base)
        elif now_s >= beat_s:
            yield ": still here\n\n"
        else:
            continue
        beat_s = now_s + HEARTBEAT_S


def _has_left(listener: object) -> bool:
    """Tell whether the other end hung up, so that its thread is free at once, not only when the
    second heartbeat fails. Nothing is known of it under other servers, or over TLS of our own."""
    if type(listener) is not socket.socket:
        return False
    try:
        return listener.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _event(job: Job, base: str) -> str:
    data = json.dumps(job_answer(job, base).model_dump(), separators=(",", ":"))
    return f"event: job\nid: {_event_id(job)}\ndata: {data}\n\n"


def _event_id(job: Job) -> str:
    return f"{job.attempt}-{job.status}-{job.updated_at_ms}"
