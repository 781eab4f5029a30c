"""The whole service as real processes on loopback, and the certainty that none is left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import sqlalchemy as sa

from proofreel.adapters.database import open_engine
from proofreel.core.jobs import TERMINAL
from tests.model_fixtures import model_store, models_root
from tests.ports import free_port

T = TypeVar("T")

API_KEY = "the key of these tests"
_SETTINGS = ("API_KEY", "WEBHOOK_URL", "MAX_FILE_SIZE")  # and all that start as ours do
SPEECH = "proofreel.adapters.whisper_child"  # in the command line of the recogniser
_PATIENCE_S = 90.0


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return an environment whose only settings are `settings` and ones that suit a test.

    All state and every temporary file go below `folder`; its TMPDIR also marks the processes.
    """
    scratch = folder / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _SETTINGS and not name.startswith("PROOFREEL_")
    }
    ours = {
        "API_KEY": API_KEY,
        "PROOFREEL_DATA_DIR": str(folder / "data"),
        "PROOFREEL_MODELS_DIR": str(models_root()),
        "PROOFREEL_MODEL": "tiny.en",
        "PROOFREEL_LOG_FORMAT": "json",
        "TMPDIR": str(scratch),
    }
    return {**kept, **ours, **settings}


def run_cli(
    env: Mapping[str, str], *args: str, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run `proofreel ARGS` to its end, with no terminal."""
    command = [sys.executable, "-m", "proofreel", *args]
    return subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def eventually(look: Callable[[], T | None], *, within_s: float = _PATIENCE_S, what: str = "") -> T:
    """Return the first true answer of `look`; fail if none comes in time."""
    deadline_s = time.monotonic() + within_s
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s:g} s: {what or look}")
        time.sleep(0.1)


@dataclass(frozen=True)
class Seen:
    """A running process."""

    pid: int
    parent: int
    command: str


def processes_below(folder: Path) -> list[Seen]:
    """Return every living process whose TMPDIR lies in `folder`, whoever its parent now is."""
    mark = f"TMPDIR={folder / 'tmp'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            ours = any(name.startswith(mark) for name in _nul_list(entry / "environ"))
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            command = b" ".join(_nul_list(entry / "cmdline")).decode(errors="replace")
        except OSError:  # gone meanwhile, or not ours to look into
            continue
        if ours and state not in "ZX":
            found.append(Seen(int(entry.name), int(parent), command))
    return found


def _nul_list(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\0")


@dataclass
class Service:
    """`proofreel serve` (or `web`, `worker`) in `folder`. Stop it, whatever happens."""

    folder: Path
    settings: Mapping[str, str]
    command: Sequence[str] = ("serve",)
    port: int = field(default_factory=free_port)

    def start(self) -> None:
        """Start it and wait until it answers."""
        env = environment(self.folder, PROOFREEL_PORT=str(self.port), **self.settings)
        self.log = self.folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "proofreel", *self.command],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {API_KEY}"},
            timeout=30,
            trust_env=False,
        )
        if "worker" not in self.command:
            eventually(self.healthy, within_s=30, what="a healthy service")

    def stop(self) -> None:
        """Ask it to stop; then end by its id whatever is still there."""
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            for left in self.processes():
                os.kill(left.pid, signal.SIGKILL)
            self.process.wait(10)

    def healthy(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx.HTTPError:
            return False

    def processes(self, part: str = "") -> list[Seen]:
        """Return its living processes whose command line contains `part`."""
        return [seen for seen in processes_below(self.folder) if part in seen.command]

    def part(self, name: str) -> Seen:
        """Return the child that runs `proofreel NAME`; it may have children of its own."""
        found = self.processes(f"-m proofreel {name}")
        [child] = [seen for seen in found if seen.parent == self.process.pid]
        return child

    def submit(self, recording: Path, **fields: str) -> str:
        """Send a recording and return the id of its job."""
        with recording.open("rb") as file:
            answer = self.client.post("/v1/jobs", files={"file": file}, data=fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the job as the API shows it, over the moments in which the web half is gone."""

        def ask() -> dict[str, Any] | None:
            try:
                answer = self.client.get(f"/v1/jobs/{job_id}")
            except httpx.HTTPError:
                return None
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        return eventually(ask, within_s=30, what="an answer")

    def finished(self, job_id: str, *, status: str = "completed") -> dict[str, Any]:
        """Wait for the end of the job, which must be `status`, and return it."""
        eventually(lambda: self.job(job_id)["status"] in TERMINAL, what=f"the end of {job_id}")
        job = self.job(job_id)
        assert job["status"] == status, job
        return job

    def transcribing(self, job_id: str) -> None:
        """Wait until the recogniser is at work on the job."""

        def under_way() -> bool:
            job = self.job(job_id)
            assert job["status"] in ("queued", "processing"), job
            return job["stage"] == "transcribe" and bool(self.processes(SPEECH))

        eventually(under_way, what="transcription")

    def file(self, job_id: str, kind: str) -> httpx.Response:
        """Fetch a file of a job."""
        answer = self.client.get(f"/v1/jobs/{job_id}/files/{kind}")
        assert answer.status_code == 200, answer.text
        return answer

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database itself; each `?` stands for one of `values`."""
        for number in range(len(values)):
            sql = sql.replace("?", f":value{number}", 1)
        named = {f"value{number}": value for number, value in enumerate(values)}
        in_folder = f"sqlite:///{self.folder / 'data' / 'proofreel.sqlite'}"
        engine = open_engine(self.settings.get("PROOFREEL_DATABASE_URL", in_folder))
        try:
            with engine.connect() as connection:
                if engine.dialect.name == "postgresql":  # where the job engine has its tables
                    connection.execute(sa.text("SET search_path TO public, dbos"))
                return [tuple(row) for row in connection.execute(sa.text(sql), named)]
        finally:
            engine.dispose()

    def events(self, job_id: str, event: str) -> list[dict[str, Any]]:
        """Return the lines of the log that name this job and event."""
        lines = [json.loads(line) for line in self.log_lines() if line.startswith("{")]
        return [
            line for line in lines if line.get("job_id") == job_id and line.get("event") == event
        ]

    def log_lines(self) -> list[str]:
        return self.log.read_text().splitlines()


@contextmanager
def running(folder: Path, *command: str, **settings: str) -> Iterator[Service]:
    """Run the service for the length of the block."""
    model_store("tiny.en")
    service = Service(folder, settings, command or ("serve",))
    try:
        service.start()
        yield service
    finally:
        service.stop()
