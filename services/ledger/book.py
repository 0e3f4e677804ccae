"""The book: postings applied to the database, all of a batch in one transaction or nothing of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from services.ledger.offsets import Span, advance, lock_positions
from services.ledger.posting import Account, Conflict, Entry, Outcome, Posting, accounts_of, post, user_of
from services.ledger.tables import accounts, entries, entry_lines, outbox, usage_conflicts
from services.runtime.database import among, insert_many, transaction, update_many
from services.runtime.errors import TransientError

_ATTEMPTS_MAX = 5

T = TypeVar("T")


class MissingAccounts(Exception):
    """Accounts that have to be opened before the postings can be applied."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__(f"{len(names)} accounts are not open")
        self.names = names


class Raced(TransientError):
    """Other transactions keep getting in between; the same batch may well succeed later."""


@dataclass(frozen=True)
class Batch:
    """Usage as consumed: the stretch of each partition it covers, and what it posts, in order."""

    spans: dict[int, Span] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)

    def without(self, partitions: Collection[int]) -> "Batch":
        """This batch less some partitions."""
        return Batch(
            {number: span for number, span in self.spans.items() if number not in partitions},
            [posting for posting in self.postings if posting.partition not in partitions],
        )


def post_batch(engine: Engine, batch: Batch, now: datetime) -> Outcome:
    """Posts a batch of usage and moves the offsets, in one transaction. Safe to repeat, whatever became of the last.

    1. Lock the offsets; drop what another replica posted meanwhile.
    2. Lock the accounts, in sorted order, so that no two replicas wait for each other.
    3. Look up which usage ids are posted: under the lock of their account, so that none can come in between.
    4. Write entries, balances, outbox and offsets.

    Raises:
        Rewound: the stored offsets went back; nothing was posted.
        TransientError: the database is away or busy.
    """

    def apply(connection: Connection) -> Outcome:
        positions = lock_positions(connection, batch.spans)
        fresh = [
            posting
            for posting in batch.postings
            if posting.partition not in positions or posting.offset >= positions[posting.partition].next_offset
        ]
        outcome = apply_postings(connection, fresh, now)
        advance(connection, batch.spans)
        return outcome

    return in_transaction(engine, apply, now)


def in_transaction(engine: Engine, apply: Callable[[Connection], T], now: datetime) -> T:
    """Runs `apply` in a transaction, again when accounts have to be opened or another transaction got in between.

    Raises:
        TransientError: the database is away or busy.
    """
    last: Exception | None = None
    for _ in range(_ATTEMPTS_MAX):
        try:
            with transaction(engine) as connection:
                return apply(connection)
        except MissingAccounts as missing:
            _open_accounts(engine, missing.names, now)
        except IntegrityError as error:
            # Two replicas posted one reference for two users at once: the next try finds it posted.
            last = error
    raise Raced(f"{_ATTEMPTS_MAX} attempts were overtaken by other transactions") from last


def apply_postings(connection: Connection, postings: Sequence[Posting], now: datetime) -> Outcome:
    """Applies postings of one kind within the caller's transaction.

    Raises:
        MissingAccounts: nothing was written; open them first.
    """
    now = whole_milliseconds(now)
    locked = _lock_accounts(connection, accounts_of(postings))
    outcome = post(postings, locked, _posted_hashes(connection, postings), now)
    insert_many(connection, entries, [_entry_row(entry) for entry in outcome.entries])
    insert_many(connection, entry_lines, [row for entry in outcome.entries for row in _line_rows(entry)])
    update_many(connection, accounts, "id", [_account_row(account) for account in outcome.accounts.values()])
    insert_many(connection, outbox, _outbox_rows(outcome))
    _record_conflicts(connection, outcome.conflicts, now)
    return outcome


def whole_milliseconds(moment: datetime) -> datetime:
    """The moment as precise as the wire and the hashes carry it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _lock_accounts(connection: Connection, names: Collection[str]) -> dict[str, Account]:
    if not names:
        return {}
    columns = (accounts.c.id, accounts.c.balance, accounts.c.version, accounts.c.sequence, accounts.c.last_hash)
    statement = select(*columns).where(among(connection, accounts.c.id, names)).order_by(accounts.c.id)
    found = {row[0]: Account(*row) for row in connection.execute(statement.with_for_update())}
    missing = set(names) - found.keys()
    if missing:
        raise MissingAccounts(missing)
    return found


def _open_accounts(engine: Engine, names: Collection[str], now: datetime) -> None:
    """In a transaction that holds no other lock: two that open the same accounts cannot wait for each other."""
    with transaction(engine) as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(accounts).on_conflict_do_nothing(index_elements=["id"])
        connection.execute(statement, [_account_row(Account(name)) | {"opened_at": now} for name in sorted(names)])


def _posted_hashes(connection: Connection, postings: Sequence[Posting]) -> dict[str, str]:
    if not postings:
        return {}
    references = {posting.reference for posting in postings}
    found = connection.execute(
        select(entries.c.reference, entries.c.payload_hash).where(
            entries.c.kind == postings[0].kind, among(connection, entries.c.reference, references)
        )
    )
    return {row.reference: row.payload_hash for row in found}


def _entry_row(entry: Entry) -> Mapping[str, Any]:
    posting = entry.posting
    return {
        "id": entry.id,
        "kind": posting.kind,
        "user_id": posting.user_id,
        "reference": posting.reference,
        "result_id": posting.result_id,
        "payload": posting.payload,
        "payload_hash": posting.payload_hash,
        "sequence": entry.sequence,
        "previous_hash": entry.previous_hash,
        "entry_hash": entry.entry_hash,
        "posted_at": entry.posted_at,
    }


def _line_rows(entry: Entry) -> list[Mapping[str, Any]]:
    return [{"entry_id": entry.id, "account_id": account, "amount": amount} for account, amount in entry.posting.lines]


def _account_row(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "balance": account.balance,
        "version": account.version,
        "sequence": account.sequence,
        "last_hash": account.last_hash,
    }


def _outbox_rows(outcome: Outcome) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = [
        {"user_id": entry.posting.user_id, "entry_event": entry.event_json()} for entry in outcome.entries
    ]
    users = (user_of(name) for name in outcome.accounts)
    return rows + [{"user_id": user, "entry_event": None} for user in users if user is not None]


def _record_conflicts(connection: Connection, conflicts: Sequence[Conflict], now: datetime) -> None:
    usage = [conflict for conflict in conflicts if conflict.posting.kind == "usage"]
    if not usage:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [
        {
            "usage_id": conflict.posting.reference,
            "payload_hash": conflict.posting.payload_hash,
            "posted_hash": conflict.posted_hash,
            "payload": conflict.posting.payload,
            "partition": conflict.posting.partition,
            "offset": conflict.posting.offset,
            "seen_at": now,
        }
        for conflict in usage
    ]
    connection.execute(dialect.insert(usage_conflicts).on_conflict_do_nothing(), rows)
