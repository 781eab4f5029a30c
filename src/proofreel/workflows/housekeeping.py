"""What keeps a worker's jobs alive and its disk clean: heartbeat, reaper, retention.

The engine takes up a worker's own unfinished jobs when the worker starts again, and nothing else:
a worker that is gone for good would keep its jobs for ever. So each one beats, and each looks for
silent ones. A wrong verdict wastes work but is safe: a deposed owner's checkpoint is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

import structlog
from dbos import DBOS

from proofreel.adapters.database import now_ms
from proofreel.adapters.jobs import Jobs, job_prefix
from proofreel.adapters.queue import APPLICATION_VERSION, workflow_id
from proofreel.adapters.uploads import UPLOAD_KEY, recorded_upload, remove_upload
from proofreel.core.job_errors import JobNotFound
from proofreel.core.jobs import Failure
from proofreel.errors import ProofreelError
from proofreel.workflows.durable import Worker, end_badly

log = structlog.get_logger()

BEAT_S = 5.0
REAP_S = 10.0
SILENT_AFTER_S = 30  # six missed beats
STUCK_AFTER_S = 60.0
TIDY_S = 3600.0
_FAREWELL_WITHIN_S = 3.0
_DAY_S = 24 * 3600
_DAY_MS = _DAY_S * 1000
_GIVEN_UP = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
_ENDED = [_GIVEN_UP, "ERROR", "CANCELLED", "SUCCESS"]
_OVERDUE_MS = 10 * 60 * 1000


@dataclass
class Housekeeper:
    """Runs in a thread of its own beside the workflows. `give_up` ends the process, so that its
    supervisor starts it afresh and the engine takes up what it had in hand.
    """

    worker: Worker
    jobs: Jobs
    executor_id: str
    retention_days: int
    give_up: Callable[[], None]
    model_problem: Callable[[], str | None] = lambda: None  # may take its time
    _told_problem: str | None = None
    _stuck_since_s: dict[str, float] = field(default_factory=dict)
    _winding_down: threading.Event = field(default_factory=threading.Event)
    _beating: threading.Lock = field(default_factory=threading.Lock)
    _left: bool = False
    _beating_since_s: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """See to every duty from now on, until the process ends. The engine must be launched."""
        for every_s, duty in (
            (BEAT_S, self.beat),
            (REAP_S, self.reap),
            (TIDY_S, self.tidy),
            (BEAT_S, self.look_at_model),
        ):
            threading.Thread(
                target=self._forever, args=(every_s, duty), daemon=True, name=duty.__name__
            ).start()

    def beat(self) -> None:
        """Say that this worker lives; do it once before any work is taken."""
        with self._beating:
            if self._left:
                return
            try:
                self.worker.ledger.beat(self.executor_id, self._told_problem)
            except ProofreelError:
                self._beating_since_s = float("inf")
                raise
            if self._beating_since_s == float("inf"):
                self._beating_since_s = time.monotonic()

    def look_at_model(self) -> None:
        """Find what the next beats tell of the model; not within one: a slow disk is no death."""
        self._told_problem = self.model_problem()

    def wind_down(self) -> None:
        """See to no duty any more but the heartbeat: what is under way is still ours."""
        self._winding_down.set()

    def leave(self) -> None:
        """Hand over what is unfinished to the other workers. Returns in a few seconds at most: if
        the database does not answer, they find out by our silence.
        """

        def strike() -> None:
            with self._beating:
                self._left = True
                try:
                    self.worker.ledger.leave(self.executor_id)
                except ProofreelError as error:
                    log.warning("worker_leaves_silently", detail=error.detail)

        farewell = threading.Thread(target=strike, daemon=True)
        farewell.start()
        farewell.join(_FAREWELL_WITHIN_S)

    def _forever(self, every_s: float, duty: Callable[[], None]) -> None:
        while duty == self.beat or not self._winding_down.is_set():
            try:
                duty()
            except ProofreelError as error:
                log.warning("housekeeping_delayed", duty=duty.__name__, detail=error.detail)
            except Exception:
                log.exception("housekeeping_failed", duty=duty.__name__)
            time.sleep(every_s)

    def reap(self) -> None:
        """Take over from workers that are gone, and end what the engine has given up on."""
        pending = DBOS.list_workflows(
            status="PENDING",
            app_version=APPLICATION_VERSION,
            load_input=False,
            load_output=False,
        )
        owners = {found.executor_id for found in pending if found.executor_id}
        if gone := sorted(self._gone(owners - {self.executor_id})):
            log.warning("workers_gone", executors=gone)
            # the one call that puts a workflow back without forgetting its failed attempts
            DBOS._recover_pending_workflows(gone)
        mine = {found.workflow_id for found in pending if found.executor_id == self.executor_id}
        self._watch_for_stuck(mine)
        self._end_lost()

    def _gone(self, owners: set[str]) -> set[str]:
        """Return those of `owners` that have signed off, and those that are silent.

        Silence means something only to who has been beating all the while: just after the database
        was away nobody has been heard of.
        """
        ledger = self.worker.ledger
        if time.monotonic() - self._beating_since_s > SILENT_AFTER_S:
            return owners - ledger.living_workers(SILENT_AFTER_S)
        return owners - ledger.known_workers()

    def tidy(self) -> None:
        """Remove what is past its retention and what unfinished writes left behind; what cannot be
        done now holds up nothing else.
        """
        for duty in (
            self.worker.tools.storage.sweep,
            self._forget_old_deliveries,
            lambda: self.worker.ledger.forget_workers(_DAY_S),
            self._send_overdue,
            self._forget_unused_uploads,
            self._forget_expired_jobs,
        ):
            try:
                duty()
            except ProofreelError as error:
                log.warning("tidy_failed", code=error.code, reason=str(error), detail=error.detail)

    def _send_overdue(self) -> None:
        for delivery_id in self.worker.ledger.overdue_deliveries(now_ms() - _OVERDUE_MS):
            self.jobs.resend(delivery_id)

    def _forget_expired_jobs(self) -> None:
        if not self.retention_days:
            return
        while expired := self.jobs.expired(now_ms() - self.retention_days * _DAY_MS):
            for job_id in expired:
                with suppress(JobNotFound):  # another worker was first
                    self.jobs.delete(job_id)
            log.info("jobs_expired", count=len(expired))

    def _forget_unused_uploads(self) -> None:
        """Only what came through us: the bucket may be shared."""
        if not self.retention_days:
            return
        storage = self.worker.tools.storage
        before_ms = now_ms() - self.retention_days * _DAY_MS
        for found in storage.list_objects("uploads"):
            if found.modified_at_ms >= before_ms or not UPLOAD_KEY.fullmatch(found.key):
                continue
            if not self.jobs.uses_source(found.key) and recorded_upload(storage, found.key):
                remove_upload(storage, found.key)

    def _watch_for_stuck(self, mine: set[str]) -> None:
        """A workflow that is mine, yet not being run (a full disk can do it), needs a restart."""
        now_s = time.monotonic()
        idle = mine - self.worker.active.names()
        self._stuck_since_s = {name: self._stuck_since_s.get(name, now_s) for name in idle}
        if any(now_s - since_s > STUCK_AFTER_S for since_s in self._stuck_since_s.values()):
            log.error("work_stuck", workflows=sorted(idle))
            self.give_up()

    def _end_lost(self) -> None:
        """End the jobs that still count as at work though the engine is through with them."""
        unfinished = self.worker.ledger.unfinished()
        names = {workflow_id(job, attempt): (job, attempt) for job, attempt in unfinished}
        for chunk in _batched(names, 500):
            ended = DBOS.list_workflows(
                workflow_ids=chunk, status=_ENDED, load_input=False, load_output=False
            )
            for found in ended:
                self._end(*names[found.workflow_id], _lost(found.status))

    def _end(self, job_id: str, attempt: int, failure: Failure) -> None:
        if not end_badly(self.worker, job_id, attempt, failure):
            return  # it ended after all, by a moment
        self.worker.tools.storage.delete_prefix(f"{job_prefix(job_id)}work/")
        log.error("job_lost", job_id=job_id, code=failure.code)

    def _forget_old_deliveries(self) -> None:
        """The engine keeps every workflow for ever; ours are told in the delivery log."""
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 7 * 86400))
        old = DBOS.list_workflows(
            name="deliver",
            status=["SUCCESS", "ERROR", "CANCELLED"],
            completed_before=before,
            limit=1000,
            load_input=False,
            load_output=False,
        )
        if old:
            DBOS.delete_workflows([found.workflow_id for found in old])


def _lost(engine_status: str) -> Failure:
    if engine_status == _GIVEN_UP:
        return Failure(
            "crashed_repeatedly",
            "This recording stopped the worker many times, so it was given up.",
            retryable=False,
        )
    message = "The work on this recording ended without a result."
    return Failure("internal_error", message, retryable=True)


def _batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield `names` in lists of at most `size`: databases bound the length of a query."""
    rest = iter(names)
    while chunk := list(islice(rest, size)):
        yield chunk
