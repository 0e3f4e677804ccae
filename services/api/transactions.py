"""What the ledger has posted for a user, read from its tables: newest first, page by page. Writes nothing there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, MetaData, RowMapping, Table, Text, select

from schemas.base import INTEGER_MAX
from services.api.cursors import decode_cursor, encode_cursor, invalid_cursor
from services.runtime.database import UtcDateTime, reading

LEDGER = MetaData()
"""As much of the ledger's tables as is read here; a test holds it to those of `services.ledger`."""

ENTRIES = Table(
    "entries",
    LEDGER,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("result_id", Text),
    Column("payload", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("posted_at", UtcDateTime, nullable=False),
)
ENTRY_LINES = Table(
    "entry_lines",
    LEDGER,
    Column("entry_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class PostedTransaction:
    """One entry as its user sees it; `payload` is the usage event or the grant, as it was posted."""

    id: str
    kind: str
    amount: int
    reference: str
    result_id: str | None
    posted_at: datetime
    sequence: int
    payload: dict[str, Any]


@dataclass(frozen=True)
class TransactionPage:
    """At most as many as were asked for; `next_cursor` is None after the first entry of all."""

    transactions: Sequence[PostedTransaction]
    next_cursor: str | None


def sequence_of_cursor(cursor: str) -> int:
    """The number of the last entry that was seen. Raises `ApiError`: `invalid_request`."""
    (sequence,) = decode_cursor(cursor, int)
    if not 0 <= sequence <= INTEGER_MAX:
        raise invalid_cursor()
    return int(sequence)


def user_account(user_id: str) -> str:
    """The ledger's name of a user's account."""
    return f"user:{user_id}"


def list_transactions(engine: Engine, user_id: str, limit: int, before: int | None = None) -> TransactionPage:
    """One page; a user without an account has none. Raises `DatabaseUnavailable`."""
    statement = (
        select(ENTRIES, ENTRY_LINES.c.amount)
        .join(ENTRY_LINES, ENTRY_LINES.c.entry_id == ENTRIES.c.id)
        .where(ENTRIES.c.user_id == user_id, ENTRY_LINES.c.account_id == user_account(user_id))
        .order_by(ENTRIES.c.sequence.desc())
        # One more than asked for tells whether there is a next page.
        .limit(limit + 1)
    )
    if before is not None:
        statement = statement.where(ENTRIES.c.sequence < before)
    with reading(engine) as connection:
        rows = [_transaction(row) for row in connection.execute(statement).mappings()]
    page = rows[:limit]
    return TransactionPage(page, encode_cursor(page[-1].sequence) if len(rows) > limit else None)


def _transaction(row: RowMapping) -> PostedTransaction:
    fields = {name: row[name] for name in PostedTransaction.__dataclass_fields__}
    return PostedTransaction(**fields | {"payload": json.loads(row["payload"])})
