"""The list of results by key and by status, without reading all of a user's rows."""

import sqlalchemy as sa
from alembic import op

revision = "0003_result_filters"
down_revision: str | None = "0002_api"

_NEWEST_FIRST = [sa.text("requested_at DESC"), sa.text("id DESC")]


def upgrade() -> None:
    """Forward."""
    op.create_index("results_by_key", "results", ["user_id", "key", *_NEWEST_FIRST])
    op.create_index("results_by_status", "results", ["user_id", "status", *_NEWEST_FIRST])


def downgrade() -> None:
    """Back."""
    op.drop_index("results_by_status", "results")
    op.drop_index("results_by_key", "results")
