"""What is counted and timed, for Prometheus; the only importer of its client.

A process counts for itself. Under `proofreel serve` all of its processes count into one folder, so
that the web half can show the sums: each has a slot of that folder as long as it lives, and one
that is started again goes on with the figures of its slot.
"""

from __future__ import annotations

import fcntl
import os
import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import IO
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics import disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from proofreel.adapters.census import Census
from proofreel.core.jobs import JOB_STATUSES, STAGES, TERMINAL
from proofreel.errors import Misconfigured, ProofreelError

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the client's own name for it
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
DELIVERY_OUTCOMES = ("delivered", "retry", "failed")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_NOWHERE = "none"
_TURN_S = 5.0
_SLOT_BYTES = 1024 * 1024  # of each kind; all series of ours take a fifth of it
_STAGE_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_FACTORS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 4)
_LOAD_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

log = structlog.get_logger()

# The client decides by the environment at its import; here only open_metrics() decides.
values.ValueClass = values.MutexValue
disable_created_metrics()  # type: ignore[no-untyped-call]  # a time of creation for every series helps nobody
_slots: list[IO[bytes]] = []  # locks, held as long as the process lives


class MetricsAddressUnusable(Misconfigured):
    """The worker's metrics cannot be offered where they were asked for."""

    code = "metrics_address_unusable"

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(host, port, reason)
        self.host, self.port, self.reason = host, port, reason

    def __str__(self) -> str:
        return (
            f"The worker's metrics cannot be offered on {self.host}, port {self.port}: "
            f"{self.reason}. Set PROOFREEL_METRICS_HOST and PROOFREEL_METRICS_PORT."
        )


def open_metrics() -> Metrics:
    """Return the metrics of this process, shared if `SHARED_FOLDER` is set. Call it once."""
    folder = os.environ.get(SHARED_FOLDER)
    if not folder:
        return Metrics()
    try:
        slot = _claim_slot(Path(folder))
    except OSError as error:  # a full disk stops no work
        log.warning("metrics_not_shared", detail=str(error))
        return Metrics()
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
    return Metrics(shared=Path(folder))


def _claim_slot(folder: Path) -> str:
    """Return the first slot that no living process has; its figures go on. Raises OSError.

    Its files get their room now: a write into a mapped file that finds the disk full would end the
    process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in count():
        lock = (folder / f"slot{number}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _slots.append(lock)
        for kind in ("counter", "histogram"):
            with (folder / f"{kind}_slot{number}.db").open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _SLOT_BYTES)
        return f"slot{number}"
    raise AssertionError("unreachable")


class Metrics:
    """All metrics of the service. Every label has few values, all of our own choice."""

    def __init__(self, *, shared: Path | None = None) -> None:
        self._shown = CollectorRegistry()
        own = None if shared else self._shown
        if shared:
            MultiProcessCollector(self._shown, path=str(shared))  # type: ignore[no-untyped-call]
        self._shown.register(_BuildInfo())
        self._stage_s = Histogram(
            "proofreel_stage_seconds",
            "Time that a finished hop of a job took.",
            ("stage",),
            registry=own,
            buckets=_STAGE_S,
        )
        self._factor = Histogram(
            "proofreel_realtime_factor",
            "Seconds of recognition per second of sound: below 1 is faster than it plays.",
            registry=own,
            buckets=_FACTORS,
        )
        self._loads = Counter(
            "proofreel_model_loads_total",
            "Times that a speech model was loaded into a recogniser.",
            ("model",),
            registry=own,
        )
        self._load_s = Histogram(
            "proofreel_model_load_seconds",
            "Time that loading a speech model took.",
            registry=own,
            buckets=_LOAD_S,
        )
        self._finished = Counter(
            "proofreel_jobs_finished_total",
            "Jobs that ended, by how.",
            ("status",),
            registry=own,
        )
        self._deliveries = Counter(
            "proofreel_webhook_deliveries_total",
            "Tries of webhook messages: delivered, to be tried again (retry), given up (failed).",
            ("outcome",),
            registry=own,
        )
        self._requests = Counter(
            "proofreel_http_requests_total",
            "HTTP requests answered; route is the rule, none where no rule fits.",
            ("method", "route", "status"),
            registry=own,
        )
        self._request_s = Histogram(
            "proofreel_http_request_seconds",
            "Time until the answer to an HTTP request began.",
            ("method", "route"),
            registry=own,
            buckets=_REQUEST_S,
        )
        for stage in STAGES:  # from 0 on, so that the first one counts as an increase
            self._stage_s.labels(stage)
        for status in TERMINAL:
            self._finished.labels(status)
        for outcome in DELIVERY_OUTCOMES:
            self._deliveries.labels(outcome)

    def expect_model(self, model: str) -> None:
        """Count this model's loads from 0 on, so that the first is seen as an increase."""
        self._loads.labels(model)

    def stage_finished(self, stage: str, seconds: float) -> None:
        self._stage_s.labels(stage).observe(seconds)

    def recognised(self, seconds: float, *, audio_s: float) -> None:
        if audio_s > 0:
            self._factor.observe(seconds / audio_s)

    def model_loaded(self, model: str, seconds: float) -> None:
        self._loads.labels(model).inc()
        self._load_s.observe(seconds)

    def job_ended(self, status: str) -> None:
        """Count a job's end; once, by whoever wrote it down."""
        self._finished.labels(status).inc()

    def delivery_tried(self, outcome: str) -> None:
        """Count one try of a webhook message; `outcome` is one of DELIVERY_OUTCOMES."""
        self._deliveries.labels(outcome).inc()

    def request_answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request; `route` is its rule, None where no rule fits."""
        method = method if method in _METHODS else "other"
        route = route or _NOWHERE
        self._requests.labels(method, route, str(status)).inc()
        self._request_s.labels(method, route).observe(seconds)

    def watch_jobs(self, take: Callable[[], Census]) -> None:
        """Show the jobs in the database as well, counted whenever somebody looks."""
        self._shown.register(_JobCollector(take))

    def page(self) -> bytes:
        """Return all figures in Prometheus' text format (`CONTENT_TYPE`)."""
        return generate_latest(self._shown)

    def offer(self, host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
        """Answer HTTP requests with `page()` from now on. Raises MetricsAddressUnusable."""
        try:
            return start_http_server(port, host, self._shown)
        except OSError as error:
            reason = error.strerror or "there is no such address"
            raise MetricsAddressUnusable(host, port, reason) from error


class _BuildInfo(Collector):
    def collect(self) -> Iterable[GaugeMetricFamily]:
        info = GaugeMetricFamily(
            "proofreel_build_info",
            "Always 1; the labels say what runs.",
            labels=("version", "python_version"),
        )
        info.add_metric((version("proofreel"), platform.python_version()), 1)
        return (info,)


class _JobCollector(Collector):
    def __init__(self, take: Callable[[], Census]) -> None:
        self._take = take
        self._turn = threading.Lock()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        # The other figures are there whatever happens, and an alert sees the gap.
        if not self._turn.acquire(timeout=_TURN_S):  # a database that hangs holds one thread only
            log.warning("jobs_not_counted", code="busy", detail="still being counted")
            return
        try:
            census = self._take()
        except ProofreelError as error:
            log.warning("jobs_not_counted", code=error.code, detail=error.detail)
            return
        finally:
            self._turn.release()
        jobs = GaugeMetricFamily(
            "proofreel_jobs",
            "Jobs in the database by status and, while at work, by stage.",
            labels=("status", "stage"),
        )
        counts = dict(census.counts)
        for absent in set(JOB_STATUSES) - {status for status, _ in counts}:
            counts[absent, ""] = 0
        for (status, stage), number in sorted(counts.items()):
            jobs.add_metric((status, stage or _NOWHERE), number)
        yield jobs
        age = GaugeMetricFamily(
            "proofreel_queue_oldest_age_seconds",
            "How long the job at the head of the queue has waited; 0 with an empty queue.",
        )
        age.add_metric((), census.oldest_queued_s)
        yield age
