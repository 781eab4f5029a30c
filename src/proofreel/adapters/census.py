"""How many jobs there are, by state; cheap enough to be asked every few seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from proofreel.adapters import database as db
from proofreel.core.jobs import JOB_STATUSES, TERMINAL


@dataclass(frozen=True, slots=True)
class Census:
    """`counts` by status and stage; the stage is "" of what waits and of what ended."""

    counts: Mapping[tuple[str, str], int]
    oldest_queued_s: float


def take_census(engine: sa.Engine) -> Census:
    """Count the jobs. Raises DatabaseUnavailable.

    Ended jobs are counted over the index of their status alone: there may be a great many.
    """
    table, number = db.jobs, sa.func.count()
    ended = sa.select(table.c.status, number).where(table.c.status.in_(TERMINAL))
    ended = ended.group_by(table.c.status)
    active = sa.select(table.c.status, table.c.stage, number)
    at_work = set(JOB_STATUSES) - TERMINAL  # by name: "not in" would read every row
    active = active.where(table.c.status.in_(at_work)).group_by(table.c.status, table.c.stage)
    # set when it is submitted and when it is tried again, then not until it starts
    oldest = sa.select(sa.func.min(table.c.updated_at_ms)).where(table.c.status == "queued")
    with db.database_errors(), engine.connect() as connection:
        counts = {(status, ""): n for status, n in connection.execute(ended)}
        counts |= {(status, stage): n for status, stage, n in connection.execute(active)}
        since_ms = connection.execute(oldest).scalar_one_or_none()
    waited_s = 0.0 if since_ms is None else max(0.0, (db.now_ms() - since_ms) / 1000)
    return Census(counts, waited_s)
