"""The oldest completed results, without reading all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0007_retention"
down_revision: str | None = "0006_webhook_care"


def upgrade() -> None:
    """Forward."""
    completed = sa.text("status = 'completed'")
    op.create_index(
        "results_completed_by_end",
        "results",
        ["finished_at", "id"],
        sqlite_where=completed,
        postgresql_where=completed,
    )


def downgrade() -> None:
    """Back."""
    op.drop_index("results_completed_by_end", "results")
