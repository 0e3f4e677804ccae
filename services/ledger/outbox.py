"""The outbox in SQL, and the balances that are published from there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.events import BalanceChanged
from services.ledger.hashing import GENESIS
from services.ledger.posting import user_account, user_of
from services.ledger.tables import accounts
from services.ledger.tables import outbox as table
from services.runtime.database import among, reading, transaction

_EVERY_USER = user_account("%")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """What is to be published: an entry's event, or without one the user's balance."""

    id: int
    user_id: str
    entry_event: str | None


@dataclass(frozen=True, slots=True)
class Balance:
    """A user's balance in tokens, and its version."""

    user_id: str
    balance: int
    version: int


def read_page(engine: Engine, rows_max: int) -> list[OutboxRow]:
    """The oldest rows."""
    with reading(engine) as connection:
        statement = select(table.c.id, table.c.user_id, table.c.entry_event).order_by(table.c.id).limit(rows_max)
        return [OutboxRow(*row) for row in connection.execute(statement)]


def waiting(engine: Engine) -> tuple[int, int] | None:
    """The oldest and the newest row that is to be published, by id; None where there is none."""
    with reading(engine) as connection:
        oldest, newest = connection.execute(select(func.min(table.c.id), func.max(table.c.id))).one()
        return None if oldest is None else (int(oldest), int(newest))


def count_rows(engine: Engine) -> int:
    """How many rows are to be published."""
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def delete_rows(engine: Engine, ids: Collection[int]) -> None:
    """Deletes what was published."""
    with transaction(engine) as connection:
        connection.execute(delete(table).where(among(connection, table.c.id, ids)))


def read_balances(engine: Engine, after: str, rows_max: int) -> list[Balance]:
    """Balances of users that ever had an entry, in the database's order, behind the user `after` ("" at first)."""
    with reading(engine) as connection:
        statement = (
            select(accounts.c.id, accounts.c.balance, accounts.c.version)
            .where(accounts.c.id.like(_EVERY_USER), accounts.c.version > 0)
            .where(accounts.c.id > (user_account(after) if after else ""))
            .order_by(accounts.c.id)
            .limit(rows_max)
        )
        return [_balance(*row) for row in connection.execute(statement)]


def read_balances_of(engine: Engine, users: Collection[str]) -> list[Balance]:
    """The balances of these users."""
    if not users:
        return []
    names = [user_account(user) for user in users]
    with reading(engine) as connection:
        statement = select(accounts.c.id, accounts.c.balance, accounts.c.version)
        found = connection.execute(statement.where(among(connection, accounts.c.id, names)))
        return [_balance(*row) for row in found]


def lift_versions(engine: Engine, published: Mapping[str, BalanceChanged], now: datetime) -> int:
    """Raises versions that do not lie above those published, and returns how many.

    That happens when the database was restored to an earlier time. An account that it does not know at all is
    opened, empty: what was published of it does not hold any more.
    """
    users = sorted(published)
    lifted = 0
    for begin in range(0, len(users), 1_000):
        lifted += _lift_page(engine, {user: published[user] for user in users[begin : begin + 1_000]}, now)
    return lifted


def _lift_page(engine: Engine, published: Mapping[str, BalanceChanged], now: datetime) -> int:
    known = {balance.user_id: balance for balance in read_balances_of(engine, list(published))}
    low = {user: event.version + 1 for user, event in published.items() if _is_outdated(known.get(user), event)}
    if not low:
        return 0
    with transaction(engine) as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        for user, version in sorted(low.items()):
            fields = {"balance": 0, "sequence": 0, "last_hash": GENESIS, "opened_at": now}
            statement = dialect.insert(accounts).values(id=user_account(user), version=version, **fields)
            lift = statement.on_conflict_do_update(
                index_elements=["id"], set_={"version": version}, where=accounts.c.version < version
            )
            connection.execute(lift)
    return len(low)


def _is_outdated(known: Balance | None, event: BalanceChanged) -> bool:
    if known is None or known.version < event.version:
        return True
    return known.version == event.version and known.balance != event.balance


def _balance(account: str, balance: int, version: int) -> Balance:
    return Balance(user_of(account) or "", balance, version)
