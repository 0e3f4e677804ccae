"""The ledger's tables, as `migrations/versions/0001_ledger.py` makes them (a test holds the two together)."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from services.runtime.database import UtcDateTime

metadata = MetaData()

accounts = Table(
    "accounts",
    metadata,
    # user:<id>, revenue:<partition of usage>, or issued
    Column("id", Text, primary_key=True),
    # The sum of the account's lines, in tokens
    Column("balance", BigInteger, nullable=False),
    # Counts the balances published; never goes back, not even after a restore
    Column("version", BigInteger, nullable=False),
    # Number and hash of a user account's newest entry
    Column("sequence", BigInteger, nullable=False),
    Column("last_hash", Text, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
)
"""A projection of the lines, changed in the transaction that adds them."""

entries = Table(
    "entries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    # The usage id, or a grant's idempotency key
    Column("reference", Text, nullable=False),
    Column("result_id", Text),
    # What was posted, as canonical JSON
    Column("payload", Text, nullable=False),
    Column("payload_hash", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("entry_hash", Text, nullable=False),
    Column("posted_at", UtcDateTime, nullable=False),
    CheckConstraint("kind IN ('usage', 'grant')", name="entries_kind"),
    UniqueConstraint("kind", "reference", name="entries_once"),
    UniqueConstraint("user_id", "sequence", name="entries_in_sequence"),
    Index("entries_by_result", "result_id"),
)
"""Never updated, never deleted: triggers refuse it."""

entry_lines = Table(
    "entry_lines",
    metadata,
    Column("entry_id", Text, ForeignKey("entries.id"), primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("amount", BigInteger, nullable=False),
)
"""Never updated, never deleted: triggers refuse it."""

usage_conflicts = Table(
    "usage_conflicts",
    metadata,
    Column("usage_id", Text, primary_key=True),
    Column("payload_hash", Text, primary_key=True),
    Column("posted_hash", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)
"""Usage events whose id was posted with another payload: never applied, a person has to look."""

outbox = Table(
    "ledger_outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("user_id", Text, nullable=False),
    # The event of an entry, as JSON; without one the row stands for the user's balance
    Column("entry_event", Text),
    sqlite_autoincrement=True,
)
"""What is still to be published: an entry, or a balance as it is when its turn comes."""

usage_offsets = Table(
    "usage_offsets",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("posted_until", UtcDateTime),
)
"""How far each partition of `ocr.usage` is posted; the ledger begins there, whatever the broker has committed."""
