"""The entries of usage as they stand in SQL, a page at a time: each is read in a transaction of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, and_, select, tuple_

from services.ledger.posting import USER_PREFIX
from services.ledger.tables import entries, entry_lines
from services.runtime.database import reading

_PAGE_ENTRIES = 1_000


@dataclass(frozen=True)
class Charge:
    """An entry of usage: what it charges its user, in tokens, and the event that it was posted from, as JSON."""

    id: str
    user_id: str
    sequence: int
    reference: str
    result_id: str | None
    tokens: int
    payload: str


def charges(engine: Engine, since: datetime | None = None) -> Iterator[list[Charge]]:
    """Every entry of usage that was posted from `since` on, in the order of users and their sequence.

    No transaction is held between pages, however long whoever iterates takes; what is posted meanwhile may be among
    them or not.

    Raises:
        DatabaseUnavailable: while iterating.
    """
    after = ("", 0)
    while page := _page(engine, after, since):
        yield page
        after = (page[-1].user_id, page[-1].sequence)


def _page(engine: Engine, after: tuple[str, int], since: datetime | None) -> list[Charge]:
    on_the_user = and_(
        entry_lines.c.entry_id == entries.c.id, entry_lines.c.account_id == USER_PREFIX + entries.c.user_id
    )
    columns = entries.c
    statement = (
        select(
            columns.id,
            columns.user_id,
            columns.sequence,
            columns.reference,
            columns.result_id,
            -entry_lines.c.amount,
            columns.payload,
        )
        .join(entry_lines, on_the_user)
        .where(columns.kind == "usage", tuple_(columns.user_id, columns.sequence) > tuple_(*after))
        .order_by(columns.user_id, columns.sequence)
        .limit(_PAGE_ENTRIES)
    )
    if since is not None:
        statement = statement.where(columns.posted_at >= since)
    with reading(engine) as connection:
        return [Charge(*row) for row in connection.execute(statement)]
