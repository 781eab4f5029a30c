"""The trace a job belongs to, and what is wrong with a worker's model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("proofreel_job", sa.Column("traceparent", sa.String(64)))
    op.add_column("proofreel_worker", sa.Column("model_problem", sa.Text))
