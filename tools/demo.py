"""`make demo`: start the service, send it the sample through HTTP, print the report, stop.

Everything is done as a client would do it; the results land in `demo-output`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "src" / "proofreel" / "sample" / "sample.mp3"
OUTPUT = ROOT / "demo-output"
KEY = "demo-key-on-loopback-only"
WAIT_S = 600.0


def main() -> int:
    """Return 0 if the sample came out as a report."""
    run("models", "pull", "base")
    with tempfile.TemporaryDirectory(prefix="proofreel-demo-") as folder, service(folder) as client:
        say(f"Sending {SAMPLE.name} ({SAMPLE.stat().st_size / 1024:.0f} kB) to {client.base_url}")
        with SAMPLE.open("rb") as recording:
            answer = client.post("/v1/jobs", files={"file": (SAMPLE.name, recording)})
        answer.raise_for_status()
        job = wait_for(client, str(answer.json()["id"]))
        if job["status"] != "completed":
            say(f"The job ended as {job['status']}: {job['error']}")
            return 1
        OUTPUT.mkdir(exist_ok=True)
        for file in job["result"]["files"]:
            content = client.get(f"/v1/jobs/{job['id']}/files/{file['name']}")
            content.raise_for_status()
            (OUTPUT / file["name"]).write_bytes(content.content)
    sys.stdout.write((OUTPUT / "sample_report.txt").read_text(encoding="utf-8"))
    say("\nThe files:")
    for path in sorted(OUTPUT.iterdir()):
        say(f"  {path.relative_to(ROOT)}")
    say("\nOpen demo-output/sample_report.html in a browser, or run `make serve` for the service.")
    return 0


@contextmanager
def service(folder: str) -> Iterator[httpx.Client]:
    """Run `proofreel serve` over a fresh folder on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "API_KEY": KEY, "PROOFREEL_DATA_DIR": folder}
    log = Path(folder) / "service.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "proofreel", "serve", "--port", str(port)],
            env=environment,
            stderr=errors,
        )
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": KEY},
                timeout=60,
                trust_env=False,
            ) as client:
                wait_until_up(client, process, log)
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_until_up(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise SystemExit(f"The service did not start:\n{log.read_text(errors='replace')}")
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"The service did not answer:\n{log.read_text(errors='replace')}")


def wait_for(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Poll the job until it ended, telling each stage once."""
    stage, until_s = "", time.monotonic() + WAIT_S
    while time.monotonic() < until_s:
        job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").raise_for_status().json()
        if job["status"] in ("completed", "failed", "cancelled"):
            return job
        if job["stage"] != stage:
            stage = str(job["stage"])
            say(f"  {job['progress']:>3} %  {stage}")
        time.sleep(0.2)
    raise SystemExit(f"The job did not end within {WAIT_S:g} s.")


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "proofreel", *arguments], check=True)  # noqa: S603


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
