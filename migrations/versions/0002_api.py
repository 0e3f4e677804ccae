"""The API: its keys, the list of results, and how far the list has come."""

import sqlalchemy as sa
from alembic import op

from services.runtime.database import UtcDateTime

revision = "0002_api"
down_revision: str | None = "0001_ledger"


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(100), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
    )
    op.create_index("api_keys_by_user", "api_keys", ["user_id"])
    op.create_table(
        "results",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(1024), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("requested_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("code", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.Column("file_url", sa.Text),
        sa.Column("language", sa.Text),
        sa.Column("word_count", sa.BigInteger),
        sa.Column("page_count", sa.BigInteger),
        sa.Column("tokens_used", sa.BigInteger),
        sa.CheckConstraint("status IN ('pending', 'completed', 'failed', 'refused', 'deleted')", name="results_status"),
    )
    op.create_index("results_newest_first", "results", ["user_id", sa.text("requested_at DESC"), sa.text("id DESC")])
    op.create_table(
        "result_offsets",
        sa.Column("topic", sa.String(249), primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Back; every API key is lost."""
    for table in ("result_offsets", "results", "api_keys"):
        op.drop_table(table)
