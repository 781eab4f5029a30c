"""Recordings on the worker's disk: fetched once, never mixed, waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofreel.adapters.local_storage import LocalStorage
from proofreel.adapters.storage import ObjectChanged, StorageUnavailable
from proofreel.bootstrap import make_toolbox
from proofreel.core.jobs import Artifact, JobResult
from proofreel.core.model import ArtifactRef, JobSpec, NullMonitor, SpeechOptions
from proofreel.errors import JobCancelled
from proofreel.settings import load_settings
from proofreel.workflows.announce import Announcer
from proofreel.workflows.sources import Sources
from proofreel.workflows.steps import Workbench
from tests.adapters.job_setup import job_setup

PREFIX = "jobs/1/"


def nothing() -> None:
    """Find nothing to object to."""


class Counting(LocalStorage):
    """A storage that counts its fetches and takes its time over each."""

    fetches = 0

    def fetch(self, ref: ArtifactRef, target: Path, *, check: Callable[[], None] = nothing) -> None:
        self.fetches += 1
        time.sleep(0.05)
        super().fetch(ref, target, check=check)


@pytest.fixture
def storage(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "files")


def test_a_recording_is_fetched_once_for_all_hops_of_its_job(
    storage: Counting, tmp_path: Path
) -> None:
    ref = storage.put_bytes("uploads/1/a.wav", b"sound")
    sources = Sources(storage, tmp_path / "sources")
    for hop in ("probe", "scale", "extract"):
        sources.provide(PREFIX, ref, tmp_path / hop, nothing)

        assert (tmp_path / hop).read_bytes() == b"sound"
    assert storage.fetches == 1

    sources.forget(PREFIX)

    assert list((tmp_path / "sources").iterdir()) == []
    assert (tmp_path / "extract").read_bytes() == b"sound"


def test_a_copy_that_is_forgotten_in_the_middle_is_never_missed(
    storage: Counting, tmp_path: Path
) -> None:
    ref = storage.put_bytes("uploads/1/a.wav", b"sound")
    sources = Sources(storage, tmp_path / "sources")
    seen: list[bytes] = []

    def hop(number: int) -> None:
        for turn in range(5):
            target = tmp_path / f"{number}-{turn}"
            sources.provide(PREFIX, ref, target, nothing)
            seen.append(target.read_bytes())
            sources.forget(PREFIX)

    hops = [threading.Thread(target=hop, args=(number,)) for number in range(4)]
    for each in hops:
        each.start()
    for each in hops:
        each.join()

    assert seen == [b"sound"] * 20
    assert sources._locks == {}


def test_a_cancelled_job_waits_for_no_fetch(storage: Counting, tmp_path: Path) -> None:
    (tmp_path / "files" / "inbox").mkdir(parents=True)
    (tmp_path / "files" / "inbox" / "a.wav").write_bytes(b"x" * 3_000_000)
    found = storage.stat("inbox/a.wav")
    assert found is not None

    def cancelled() -> None:
        raise JobCancelled

    sources = Sources(storage, tmp_path / "sources")
    with pytest.raises(JobCancelled):
        sources.provide(PREFIX, found.ref, tmp_path / "copy", cancelled)
    assert list((tmp_path / "sources").iterdir()) == []


def test_a_file_that_its_owner_overwrites_is_neither_shared_nor_taken_for_the_old_one(
    storage: Counting, tmp_path: Path
) -> None:
    theirs = tmp_path / "files" / "inbox" / "a.wav"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"first recording")
    found = storage.stat("inbox/a.wav")
    assert found is not None
    storage.fetch(found.ref, tmp_path / "copy")

    theirs.write_bytes(b"another recording")

    assert (tmp_path / "copy").read_bytes() == b"first recording"
    with pytest.raises(ObjectChanged):
        storage.fetch(found.ref, tmp_path / "again")


class Away(LocalStorage):
    """A storage that does not answer the first few times."""

    refusals = 3

    def put_bytes(self, key: str, data: bytes, **_: Any) -> ArtifactRef:
        if self.refusals:
            self.refusals -= 1
            raise StorageUnavailable("store a file", "connection refused")
        return super().put_bytes(key, data)


def bench(storage: LocalStorage, folder: Path, *pauses_s: float) -> Workbench:
    tools = make_toolbox(
        load_settings(data_dir=folder), storage, folder / "work", storage_pauses_s=pauses_s
    )
    spec = JobSpec(ArtifactRef("uploads/1/a.wav", "0" * 64, 1), "a.wav", SpeechOptions())
    return Workbench(tools, spec, PREFIX, folder, NullMonitor())


def test_a_result_waits_until_the_storage_takes_it(tmp_path: Path) -> None:
    patient = bench(Away(tmp_path / "files"), tmp_path, 0.01, 0.01, 0.01)

    made = patient.deliver("srt", "1")

    assert patient.read(made.ref) == b"1"


def test_a_storage_that_stays_away_is_given_up_in_the_end(tmp_path: Path) -> None:
    hasty = bench(Away(tmp_path / "files"), tmp_path, 0.01)

    with pytest.raises(StorageUnavailable):
        hasty.deliver("srt", "1")


def test_a_message_carries_links_that_are_good_when_it_is_sent(tmp_path: Path) -> None:
    with job_setup(tmp_path) as setup:
        job = setup.jobs.submit(setup.spec())
    srt = Artifact("srt", "lecture.srt", "text/plain", ArtifactRef("jobs/1/a", "0" * 64, 1))
    result = JobResult((srt,), 1000, "en", {}, "1 s", {})
    announcer = Announcer(
        "https://hook.example", "https://reel.example", lambda file: f"signed {file.kind}"
    )

    message = announcer.announce(job, result)
    assert message is not None
    kept = message.payload
    sent = announcer.as_sent(replace(job, status="completed", result=result), kept)

    assert kept["result"]["srt_url"].startswith("https://reel.example/v1/jobs/")
    assert "signed" not in str(kept)
    assert sent["result"]["srt_url"] == sent["data"]["result"]["srt_url"] == "signed srt"
    assert announcer.as_sent(None, kept) == kept
