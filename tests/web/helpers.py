"""A web application over real jobs and a real storage, without a worker."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from proofreel import readiness
from proofreel.adapters.database import open_engine
from proofreel.adapters.jobs import Jobs
from proofreel.adapters.ledger import Ledger
from proofreel.adapters.local_storage import LocalStorage
from proofreel.adapters.migrations import migrate
from proofreel.adapters.models import ModelStore
from proofreel.adapters.queue import JobQueue
from proofreel.adapters.storage import Storage
from proofreel.core.jobs import Artifact, Failure, Job, JobResult
from proofreel.core.model import SpeechOptions
from proofreel.core.names import ARTIFACTS, artifact_name
from proofreel.errors import InvalidInput
from proofreel.web.app import create_app
from proofreel.web.services import WebServices

KEY = "pr_a-key-for-tests"
OLD_KEY = "pr_the-key-before"
AUTH = {"Authorization": f"Bearer {KEY}"}
MAX_UPLOAD_BYTES = 3_000_000
SOUND = b"RIFF\x24\x00\x00\x00WAVEfmt "
FILES = {
    "srt": b"1\n00:00:00,000 --> 00:00:01,000\nHello\n",
    "vtt": b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n",
    "transcript_text": b"[00:00:00,000 - 00:00:01,000] Hello\n",
    "plain_text": b"Hello\n",
    "report_text": b"Nothing to look at.\n",
    "report_html": b"<!doctype html><p>Nothing to look at.</p>",
    "preview_audio": bytes(range(256)) * 8,
}


class UnknownLanguage(InvalidInput):
    """What `check_options` raises in these tests."""

    code = "language_unknown"

    def __str__(self) -> str:
        return "That language is not known here."


def check_options(options: SpeechOptions) -> None:
    if options.language not in (None, "en", "de"):
        raise UnknownLanguage


@dataclass(frozen=True)
class Site:
    """A running application and what stands behind it."""

    app: Flask
    services: WebServices
    ledger: Ledger
    folder: Path

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def get(self, path: str, **more: Any) -> TestResponse:
        """GET with a right key."""
        headers = AUTH | more.pop("headers", {})
        return self.client.get(path, headers=headers, buffered=True, **more)

    def post(self, path: str, **more: Any) -> TestResponse:
        """POST with a right key."""
        return self.client.post(path, headers=AUTH | more.pop("headers", {}), **more)

    def submit(self, data: bytes = SOUND, name: str = "talk.wav") -> str:
        """Submit a recording and return the id of its job."""
        answer = self.post("/v1/jobs", data=form(data, name))
        assert answer.status_code == 202, answer.text
        return str(body(answer)["id"])

    def complete(self, job_id: str) -> Job:
        """End the job as a worker would, with a small file of every kind in FILES."""
        job = self.services.jobs.get(job_id)
        artifacts = tuple(self._store(job, kind, data) for kind, data in FILES.items())
        result = JobResult(artifacts, 61_500, "en", {"silences": 2}, "1 min 2 s; all good.", {})
        self.ledger.start(job_id, job.attempt, "publish", 99)
        self.ledger.complete(job_id, job.attempt, result, None)
        return self.services.jobs.get(job_id)

    def fail(self, job_id: str) -> None:
        """End the job badly, as a worker would."""
        failure = Failure("media_unusable", "The file holds no sound.", False)
        self.ledger.fail(job_id, self.services.jobs.get(job_id).attempt, failure, None)

    def stored(self) -> set[str]:
        """Every stored file, by its path in the storage."""
        if not isinstance(self.services.storage, LocalStorage):
            found = map(self.services.storage.list_objects, ("jobs", "uploads"))
            return {info.key for infos in found for info in infos}
        root = self.folder / "files"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    def _store(self, job: Job, kind: str, data: bytes) -> Artifact:
        name = artifact_name(job.name, kind)
        ref = self.services.storage.put_bytes(f"jobs/{job.id}/{name}", data)
        return Artifact(kind, name, ARTIFACTS[kind].content_type, ref)


@contextmanager
def open_site(folder: Path, storage: Storage | None = None, **changes: Any) -> Iterator[Site]:
    """Start an application over an SQLite file and, unless one is given, a storage in `folder`."""
    url = f"sqlite:///{folder / 'web.sqlite'}"
    migrate(url)
    engine = open_engine(url)
    queue = JobQueue(engine)
    storage = storage or LocalStorage(folder / "files")
    jobs = Jobs(engine, queue, storage)
    services = WebServices(
        jobs=jobs,
        storage=storage,
        api_keys=(KEY, OLD_KEY),
        cookie_secret=b"signs cookies in tests",
        max_upload_bytes=MAX_UPLOAD_BYTES,
        min_free_bytes=0,
        public_url=None,
        default_model="base",
        models=("base", "tiny.en"),
        sample=None,
        check_options=check_options,
        checks=readiness.checks(
            jobs,
            storage,
            ModelStore(folder / "models"),
            model="base",
            data_path=folder,
            min_free_bytes=0,
        ),
    )
    services = replace(services, **changes)
    app = create_app(services)
    app.testing = True
    try:
        yield Site(app, services, Ledger(engine, queue), folder)
    finally:
        queue.close()
        engine.dispose()


def form(data: bytes = SOUND, name: str = "talk.wav", **fields: str) -> dict[str, Any]:
    """Return the data of a multipart form with a recording."""
    return {"file": (io.BytesIO(data), name), **fields}


def body(answer: TestResponse) -> dict[str, Any]:
    """Return the JSON object of an answer."""
    found = answer.get_json()
    assert isinstance(found, dict), answer.text
    return found


def problem(answer: TestResponse) -> tuple[int, str]:
    """Return status and code of a failure, having checked its form."""
    found = body(answer)
    assert set(found) <= {"error", "code", "request_id"}
    assert found["error"].endswith(".")
    assert "Traceback" not in answer.text
    return answer.status_code, found["code"]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
