"""The same hops without a database: one recording, in this process, now."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from proofreel.core.jobs import overall_percent
from proofreel.core.model import JobSpec
from proofreel.errors import JobCancelled, ProofreelError
from proofreel.workflows import hops
from proofreel.workflows.results import Probed, Scaled
from proofreel.workflows.steps import Toolbox, Workbench, workbench

T = TypeVar("T")
PREFIX = "jobs/direct/"


class DirectSteps:
    """Runs each hop at once. `on_progress` gets the stage and the percentage of the whole.

    Use it as a context manager: leaving it early (^C) stops the side job, too.
    """

    def __init__(
        self, tools: Toolbox, spec: JobSpec, on_progress: Callable[[str, int], None]
    ) -> None:
        self._tools, self._spec, self._on_progress = tools, spec, on_progress
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scale")
        self._scaling: Future[Scaled] | None = None
        self._stopped = False

    def __enter__(self) -> DirectSteps:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._pool.shutdown()
        self._tools.sources.forget(PREFIX)  # the next recording goes under the same prefix

    def run(self, stage: str, result: type[T], hop: Callable[[Workbench], T]) -> T:
        self._on_progress(stage, overall_percent(stage, 0.0))
        with workbench(self._tools, self._spec, PREFIX, stage, _Watch(self, stage)) as bench:
            return hop(bench)

    def start_scaling(self, probed: Probed) -> None:
        def scale() -> Scaled:
            monitor = _Watch(self, "scale", quiet=True)
            with workbench(self._tools, self._spec, PREFIX, "scale", monitor) as bench:
                return hops.scale(bench, probed)

        self._scaling = self._pool.submit(scale)

    def scaled(self) -> Scaled:
        if self._scaling is None:
            raise RuntimeError("scaled() needs start_scaling() first")
        self._on_progress("scale", overall_percent("scale", 0.0))
        try:
            return self._scaling.result()
        except ProofreelError as error:
            return Scaled(None, str(error))


class _Watch:
    def __init__(self, steps: DirectSteps, stage: str, *, quiet: bool = False) -> None:
        self._steps, self._stage, self._quiet = steps, stage, quiet

    def progress(self, fraction: float) -> None:
        if not self._quiet:
            self._steps._on_progress(self._stage, overall_percent(self._stage, fraction))

    def check(self) -> None:
        if self._steps._stopped:
            raise JobCancelled
