"""When a result was last asked for: tells a request's outcome from that of an earlier one."""

import sqlalchemy as sa
from alembic import op

revision = "0008_asked_at"
down_revision: str | None = "0007_retention"


def upgrade() -> None:
    """Forward."""
    op.add_column("results", sa.Column("asked_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Back."""
    op.drop_column("results", "asked_at")
