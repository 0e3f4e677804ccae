"""Webhooks: a secret that is being replaced, deliveries sent again on demand, the trace a delivery belongs to."""

import sqlalchemy as sa
from alembic import op

from services.runtime.database import UtcDateTime

revision = "0006_webhook_care"
down_revision: str | None = "0005_webhooks"


def upgrade() -> None:
    """Forward. Processes of the version before go on: what they do not know has a default."""
    op.add_column("webhooks", sa.Column("previous_secret", sa.String(100)))
    op.add_column("webhooks", sa.Column("previous_secret_until", UtcDateTime))
    op.add_column("webhook_deliveries", sa.Column("traceparent", sa.String(55)))
    op.add_column(
        "webhook_deliveries", sa.Column("attempts_before", sa.Integer, nullable=False, server_default=sa.text("0"))
    )


def downgrade() -> None:
    """Back; receivers that still verify with a replaced secret refuse what comes."""
    op.drop_column("webhook_deliveries", "attempts_before")
    op.drop_column("webhook_deliveries", "traceparent")
    op.drop_column("webhooks", "previous_secret_until")
    op.drop_column("webhooks", "previous_secret")
