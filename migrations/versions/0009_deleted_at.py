"""When a result was deleted, beside when it was made: a deletion does not change what was read when."""

import sqlalchemy as sa
from alembic import op

revision = "0009_deleted_at"
down_revision: str | None = "0008_asked_at"


def upgrade() -> None:
    """Forward. When an already deleted result was made is not known any more: its request is nearest to it."""
    op.add_column("results", sa.Column("deleted_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE results SET deleted_at = finished_at, finished_at = requested_at WHERE status = 'deleted'")


def downgrade() -> None:
    """Back."""
    op.execute("UPDATE results SET finished_at = deleted_at WHERE status = 'deleted' AND deleted_at IS NOT NULL")
    op.drop_column("results", "deleted_at")
