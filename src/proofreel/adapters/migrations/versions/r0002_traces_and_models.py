"""The trace a job belongs to, what is wrong with a worker's model, and indexes for long lists."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("proofreel_job", sa.Column("traceparent", sa.String(64)))
    op.add_column("proofreel_worker", sa.Column("model_problem", sa.Text))
    op.create_index("ix_proofreel_job_status_id", "proofreel_job", ["status", "id"])
    op.create_index("ix_proofreel_delivery_created", "proofreel_delivery", ["created_at_ms"])
    op.create_index("ix_proofreel_delivery_due", "proofreel_delivery", ["state", "next_try_at_ms"])
