"""What Alembic runs: every script, over the connection that `migrate` hands it."""

from __future__ import annotations

from alembic import context

from proofreel.adapters import database as db
from proofreel.adapters.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=db.metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
