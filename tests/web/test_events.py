"""The stream of a job's changes, as a browser reads it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proofreel.adapters.database import DatabaseUnavailable
from proofreel.adapters.jobs import Jobs
from proofreel.web import events
from tests.web.helpers import AUTH, Site, open_site, problem


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_S", 0.01)


class Stream:
    """A connected EventSource: parses what comes as its specification says."""

    def __init__(self, site: Site, job_id: str, **headers: str) -> None:
        self.answer = site.client.get(
            f"/v1/jobs/{job_id}/events", headers=AUTH | headers, buffered=False
        )
        self._lines = self._read()

    def next(self) -> dict[str, str]:
        """Return the fields of the next event or comment; {} at the end."""
        found: dict[str, str] = {}
        for line in self._lines:
            if not line:
                return found
            field, _, value = line.partition(":")
            found[field] = value.removeprefix(" ")
        return found

    def job(self) -> dict[str, Any]:
        event = self.next()
        assert event["event"] == "job"
        parsed: dict[str, Any] = json.loads(event["data"])
        return parsed

    def close(self) -> None:
        self.answer.close()

    def _read(self) -> Iterator[str]:
        rest = ""
        for chunk in self.answer.iter_encoded():
            *lines, rest = (rest + chunk.decode()).split("\n")
            yield from lines


def test_every_change_is_sent_until_the_job_is_done(site: Site) -> None:
    job_id = site.submit()
    stream = Stream(site, job_id)

    assert stream.next() == {"retry": "2000"}
    assert stream.job()["status"] == "queued"
    site.ledger.start(job_id, 1, "transcribe", 10)
    working = stream.job()
    assert (working["status"], working["stage"], working["progress"]) == (
        "processing",
        "transcribe",
        10,
    )
    site.ledger.note(job_id, 1, "transcribe", 55)
    assert stream.job()["progress"] == 55
    site.complete(job_id)
    while (last := stream.job())["status"] != "completed":
        assert last["status"] == "processing"
    assert last["result"]["files"][0]["url"].startswith(f"http://localhost/v1/jobs/{job_id}/")
    assert stream.next() == {}
    stream.close()


def test_a_stream_is_neither_buffered_nor_kept(site: Site) -> None:
    stream = Stream(site, site.submit())

    assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
    assert stream.answer.headers["X-Accel-Buffering"] == "no"
    assert stream.answer.headers["Cache-Control"] == "no-store"
    stream.close()


def test_nothing_new_is_a_heartbeat(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    stream = Stream(site, site.submit())

    assert stream.next() == {"retry": "2000"}
    assert stream.job()["status"] == "queued"
    assert stream.next() == {"": "still here"}
    assert stream.next() == {"": "still here"}
    stream.close()


def test_a_finished_job_is_sent_once(site: Site) -> None:
    job_id = site.submit()
    site.complete(job_id)
    stream = Stream(site, job_id)

    stream.next()
    event = stream.next()
    assert json.loads(event["data"])["status"] == "completed"
    assert stream.next() == {}
    again = Stream(site, job_id, **{"Last-Event-ID": event["id"]})
    assert again.answer.status_code == 204


@pytest.mark.parametrize("last", ["", "1", "x" * 5000, "1-completed-0", "é"])
def test_an_unknown_last_event_id_changes_nothing(site: Site, last: str) -> None:
    stream = Stream(site, site.submit(), **{"Last-Event-ID": last})

    stream.next()
    assert stream.job()["status"] == "queued"
    stream.close()


def test_the_stream_of_a_deleted_job_says_so_and_ends(site: Site) -> None:
    job_id = site.submit()
    stream = Stream(site, job_id)
    stream.next(), stream.job()

    site.client.delete(f"/v1/jobs/{job_id}", headers=AUTH)

    while (event := stream.next()).get("event") == "job":
        pass
    assert event["event"] == "gone"
    assert stream.next() == {}
    stream.close()


def test_a_database_that_is_away_for_a_moment_does_not_end_the_stream(tmp_path: Path) -> None:
    class Shaky(Jobs):
        away = 0

        def get(self, job_id: str) -> Any:
            if self.away:
                self.away -= 1
                raise DatabaseUnavailable
            return super().get(job_id)

    with open_site(tmp_path) as site:
        jobs = site.services.jobs
        job_id = site.submit()
        shaky = Shaky(jobs._engine, jobs._queue, site.services.storage)
        frames = events._stream(shaky, jobs.get(job_id), "http://localhost", lambda: False)
        next(frames), next(frames)
        shaky.away = 3
        site.ledger.start(job_id, 1, "probe", 1)
        assert '"stage":"probe"' in next(frames)
        assert shaky.away == 0
        frames.close()  # type: ignore[attr-defined]


def test_a_stream_ends_after_its_time_so_that_browsers_come_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STREAM_LIMIT_S", 0.05)
    stream = Stream(site, site.submit())

    stream.next(), stream.job()

    assert stream.next() == {}
    stream.close()


def test_streams_leave_threads_for_other_requests(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_streams", threading.BoundedSemaphore(1))
    job_id = site.submit()
    first = Stream(site, job_id)

    refused = site.get(f"/v1/jobs/{job_id}/events")
    first.close()
    after = Stream(site, job_id)

    assert problem(refused) == (503, "too_many_streams")
    assert int(refused.headers["Retry-After"]) > 0
    assert after.answer.status_code == 200
    after.close()


def test_a_stream_ends_as_soon_as_the_browser_hangs_up(site: Site) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        answer = site.client.get(
            f"/v1/jobs/{site.submit()}/events",
            headers=AUTH,
            environ_overrides={"gunicorn.socket": ours},
        )
        frames = answer.iter_encoded()
        next(frames), next(frames)
        theirs.close()

        assert list(frames) == []
        answer.close()


def test_no_job_has_no_stream(site: Site) -> None:
    assert problem(site.get(f"/v1/jobs/{'0' * 26}/events")) == (404, "job_not_found")
