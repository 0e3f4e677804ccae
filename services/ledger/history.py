"""What stands in the ledger about a user: balance and entries."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select

from services.ledger.posting import user_account
from services.ledger.tables import accounts, entries, entry_lines
from services.runtime.database import reading


class NoAccount(LookupError):
    """The user has no account: nothing was ever granted to it or charged."""


@dataclass(frozen=True)
class HistoryLine:
    """One entry as its user sees it."""

    sequence: int
    posted_at: datetime
    kind: str
    amount: int
    reference: str
    result_id: str | None


def read_balance(engine: Engine, user_id: str) -> int:
    """The balance in tokens.

    Raises:
        NoAccount: the user has none.
        DatabaseUnavailable: the database is away.
    """
    with reading(engine) as connection:
        balance: int | None = connection.scalar(
            select(accounts.c.balance).where(accounts.c.id == user_account(user_id))
        )
    if balance is None:
        raise NoAccount(f"no account of {user_id}")
    return balance


def read_history(engine: Engine, user_id: str, *, entries_max: int, before: int | None = None) -> list[HistoryLine]:
    """The newest entries of a user first; `before` continues below that sequence. Raises as `read_balance`."""
    read_balance(engine, user_id)
    statement = (
        select(
            entries.c.sequence,
            entries.c.posted_at,
            entries.c.kind,
            entry_lines.c.amount,
            entries.c.reference,
            entries.c.result_id,
        )
        .join(entry_lines, entry_lines.c.entry_id == entries.c.id)
        .where(entries.c.user_id == user_id, entry_lines.c.account_id == user_account(user_id))
        .order_by(entries.c.sequence.desc())
        .limit(entries_max)
    )
    if before is not None:
        statement = statement.where(entries.c.sequence < before)
    with reading(engine) as connection:
        return [HistoryLine(*row) for row in connection.execute(statement)]
