"""The working half as a process: it takes work until it is told to stop, then hands over."""

from __future__ import annotations

import os
import signal
import threading

import structlog

from proofreel.adapters.metrics import SHARED_FOLDER, open_metrics
from proofreel.adapters.tracing import open_tracer
from proofreel.bootstrap import make_models, make_services, make_worker
from proofreel.commands.storage import check_storage
from proofreel.processes import (
    claim_worker_slot,
    die_with_parent,
    fresh_scratch,
    parent_is_gone,
)
from proofreel.readiness import ModelLook
from proofreel.settings import Settings
from proofreel.workflows.engine import launch, wind_down
from proofreel.workflows.housekeeping import Housekeeper

log = structlog.get_logger()


def run_worker(settings: Settings) -> None:
    """Take jobs from the queue until SIGTERM or SIGINT; ends the process. Raises Misconfigured,
    Unavailable.

    Told to stop, it takes no more work, lets what is under way finish for a while and hands over
    the rest. Told again, or left by its parent, it goes at once, in the middle of whatever it does:
    every finished hop is stored, and its children see it go.
    """
    told = threading.Event()

    def stop(*_: object) -> None:
        if told.is_set() or parent_is_gone():
            os._exit(0)
        told.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: os._exit(0))  # as yet there is nothing to finish
    die_with_parent()
    tracer = open_tracer("proofreel-worker")
    metrics = open_metrics()
    if settings.metrics_port and SHARED_FOLDER not in os.environ:
        metrics.offer(settings.metrics_host, settings.metrics_port)
    services = make_services(settings, metrics)
    check_storage(services.storage)
    executor_id, _lock = claim_worker_slot(settings.data_path / "workers")
    this = make_worker(
        services,
        fresh_scratch(settings.data_path / "work" / executor_id.rpartition("-")[2]),
        tracer,
    )
    housekeeper = Housekeeper(
        this,
        services.jobs,
        executor_id,
        settings.retention_days,
        give_up=lambda: os._exit(1),
        model_problem=ModelLook(make_models(settings), settings.model).sentence,
    )
    housekeeper.beat()  # before any work is taken, lest others take it away
    launch(
        this,
        database_url=settings.database,
        executor_id=executor_id,
        jobs_at_once=settings.worker_jobs,
    )
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop)
    housekeeper.start()
    told.wait()
    housekeeper.wind_down()
    wind_down(settings.stop_grace_s)
    tracer.close()
    log.info("worker_stopped", handed_over=sorted(this.active.names()))
    housekeeper.leave()  # last of all: from here on others may begin what we have in hand
    os._exit(0)  # threads of the engine, and steps that are under way, would hold up the end
