"""The tables of webhooks, as `migrations/versions/0005_webhooks.py` and the one after it make them."""

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, Text

from services.runtime.database import UtcDateTime

METADATA = MetaData()

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("url", Text, nullable=False),
    # Signing needs the secret itself; the database and its backups hold it.
    Column("secret", String(100), nullable=False),
    Column("event_types", String(200), nullable=False),  # separated by spaces
    Column("created_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),
    # Signs beside the new one until its time is over.
    Column("previous_secret", String(100)),
    Column("previous_secret_until", UtcDateTime),
)

DELIVERIES = Table(
    "webhook_deliveries",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("webhook_id", String(36), ForeignKey("webhooks.id"), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("event_type", String(50), nullable=False),
    Column("result_id", String(64), nullable=False),
    Column("body", Text),  # none once it has ended: the log keeps no texts
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, nullable=False),  # while one is under way: when it counts as lost
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("traceparent", String(55)),  # of the event that told of the result
    Column("attempts_before", Integer, nullable=False, default=0),  # those made before it was sent again on demand
)

ATTEMPTS = Table(
    "webhook_attempts",
    METADATA,
    Column("delivery_id", String(36), ForeignKey("webhook_deliveries.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("status_code", Integer),  # none where no answer came
    Column("error", Text),
)
