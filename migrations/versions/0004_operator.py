"""The operator's view: what ended lately, and what is pending, without reading every result."""

import sqlalchemy as sa
from alembic import op

revision = "0004_operator"
down_revision: str | None = "0003_result_filters"


def upgrade() -> None:
    """Forward."""
    op.create_index("results_by_end", "results", ["finished_at"])
    pending = sa.text("status = 'pending'")
    op.create_index("results_pending", "results", ["requested_at"], sqlite_where=pending, postgresql_where=pending)


def downgrade() -> None:
    """Back."""
    op.drop_index("results_pending", "results")
    op.drop_index("results_by_end", "results")
