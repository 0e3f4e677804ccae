"""The audit: every invariant of the ledger, checked against its rows; each row that breaks one is named."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Engine, case, exists, func, select

from schemas.base import format_time
from services.ledger.findings import Findings
from services.ledger.hashing import GENESIS, Line, entry_hash, text_hash
from services.ledger.posting import ISSUED, USER_PREFIX, entry_id, user_account
from services.ledger.tables import accounts, entries, entry_lines, usage_conflicts
from services.runtime.database import snapshot

_FETCH_ROWS = 2_000


@dataclass
class Audit(Findings):
    """What an audit saw. `debits` and `credits` are sums of tokens; `conflicts` are for a person to look at."""

    entries: int = 0
    accounts: int = 0
    debits: int = 0
    credits: int = 0
    conflicts: int = 0


Head = tuple[int, str]
"""Number and hash of an account's newest entry, as the account says."""


@dataclass(frozen=True)
class _Stored:
    """An entry as its rows say."""

    id: str
    kind: str
    user_id: str
    reference: str
    result_id: str | None
    payload: str
    payload_hash: str
    sequence: int
    previous_hash: str
    entry_hash: str
    posted_at: datetime
    head: Head | None
    """Of its user's account; None if there is no such account."""
    lines: Sequence[Line]


def audit(engine: Engine) -> Audit:
    """Checks the whole ledger as it is at one moment; postings go on meanwhile.

    - the lines of each entry sum to zero, so debits equal credits;
    - an account's balance is the sum of its lines;
    - an entry says what its payload says, and is as it was when it was hashed;
    - a user's entries follow each other without a gap, each with the hash of the one before, up to the account's;
    - a completed result has one entry, and an entry of usage has one result.

    Raises:
        DatabaseUnavailable: the database is away.
    """
    result = Audit()
    with snapshot(engine) as connection:
        _check_sums(connection, result)
        _check_balances(connection, result)
        for user_id, chain in groupby(_stored_entries(connection), key=lambda entry: entry.user_id):
            _check_chain(user_id, chain, result)
        for account in _without_entries(connection):
            result.add(f"account {account}", "has no entries, but says that it has some")
        _check_results(connection, result)
        result.conflicts = connection.scalar(select(func.count()).select_from(usage_conflicts)) or 0
    return result


def _check_sums(connection: Connection, result: Audit) -> None:
    amount = entry_lines.c.amount
    debits, credits = connection.execute(
        select(
            func.coalesce(func.sum(case((amount < 0, -amount), else_=0)), 0),
            func.coalesce(func.sum(case((amount > 0, amount), else_=0)), 0),
        )
    ).one()
    result.debits, result.credits = int(debits), int(credits)
    unbalanced = connection.execute(
        select(entry_lines.c.entry_id, func.sum(amount)).group_by(entry_lines.c.entry_id).having(func.sum(amount) != 0)
    )
    for entry, total in unbalanced:
        result.add(f"entry {entry}", f"its lines sum to {total}, not to zero")


def _check_balances(connection: Connection, result: Audit) -> None:
    total = func.coalesce(func.sum(entry_lines.c.amount), 0)
    statement = (
        select(accounts.c.id, accounts.c.balance, total)
        .outerjoin(entry_lines, entry_lines.c.account_id == accounts.c.id)
        .group_by(accounts.c.id, accounts.c.balance)
    )
    for account, balance, lines_total in connection.execute(statement):
        result.accounts += 1
        if balance != lines_total:
            result.add(f"account {account}", f"its balance is {balance}, its lines sum to {lines_total}")


def _without_entries(connection: Connection) -> Iterator[str]:
    """Accounts of users that say they have entries, of which there is none."""
    of_the_user = entries.c.user_id == func.substr(accounts.c.id, len(USER_PREFIX) + 1)
    statement = (
        select(accounts.c.id)
        .where(accounts.c.id.startswith(USER_PREFIX, autoescape=True))
        .where((accounts.c.sequence != 0) | (accounts.c.last_hash != GENESIS))
        .where(~exists().where(of_the_user))
    )
    yield from connection.scalars(statement)


def _stored_entries(connection: Connection) -> Iterator[_Stored]:
    """Every entry with its lines, user by user in the order of their sequence."""
    statement = (
        select(
            entries,
            entry_lines.c.account_id,
            entry_lines.c.amount,
            accounts.c.sequence.label("head_sequence"),
            accounts.c.last_hash.label("head_hash"),
        )
        .outerjoin(entry_lines, entry_lines.c.entry_id == entries.c.id)
        .outerjoin(accounts, accounts.c.id == USER_PREFIX + entries.c.user_id)
        .order_by(entries.c.user_id, entries.c.sequence, entries.c.id)
        .execution_options(yield_per=_FETCH_ROWS)
    )
    for _, group in groupby(connection.execute(statement), key=lambda row: row.id):
        rows = list(group)
        fields = {column.name: getattr(rows[0], column.name) for column in entries.c}
        lines = [(row.account_id, row.amount) for row in rows if row.account_id is not None]
        head = None if rows[0].head_sequence is None else (rows[0].head_sequence, rows[0].head_hash)
        yield _Stored(**fields, head=head, lines=lines)


def _check_chain(user_id: str, chain: Iterator[_Stored], result: Audit) -> None:
    head: Head | None = None
    sequence, previous_hash = 0, GENESIS
    for entry in chain:
        result.entries += 1
        subject = f"entry {entry.id}"
        if entry.sequence != sequence + 1:
            result.add(subject, f"entry {sequence + 1} of user {user_id} is missing before it")
        elif entry.previous_hash != previous_hash:
            result.add(subject, "it does not carry the hash of the entry before it")
        _check_entry(entry, subject, result)
        head = entry.head
        sequence, previous_hash = entry.sequence, entry.entry_hash
    if head != (sequence, previous_hash):
        account = f"account {user_account(user_id)}"
        result.add(account, f"its newest entry is not entry {sequence}, with which its chain ends")


def _check_entry(entry: _Stored, subject: str, result: Audit) -> None:
    if text_hash(entry.payload) != entry.payload_hash:
        result.add(subject, "its payload is not the one that was hashed")
    if _hash(entry) != entry.entry_hash:
        result.add(subject, "it is not as it was when it was hashed: fields or lines were changed")
    if (said := _said_by_payload(entry)) != (stored := _said_by_rows(entry)):
        result.add(subject, f"its payload says {said}, its rows say {stored}")
    if entry.id != entry_id("grant" if entry.kind == "grant" else "usage", entry.reference):
        result.add(subject, f"its id is not that of {entry.kind} {entry.reference}")


def _hash(entry: _Stored) -> str:
    return entry_hash(
        entry_id=entry.id,
        kind=entry.kind,
        user_id=entry.user_id,
        reference=entry.reference,
        result_id=entry.result_id,
        lines=entry.lines,
        payload_hash=entry.payload_hash,
        sequence=entry.sequence,
        previous_hash=entry.previous_hash,
        posted_at=format_time(entry.posted_at),
    )


def _said_by_payload(entry: _Stored) -> tuple[Any, ...]:
    try:
        payload = json.loads(entry.payload)
        if entry.kind == "grant":
            return payload["userId"], entry.reference, None, payload["amount"]
        return payload["userId"], payload["usageId"], payload["resultId"], -payload["tokens"]
    except (ValueError, KeyError, TypeError):
        return ("nothing that can be read",)


def _said_by_rows(entry: _Stored) -> tuple[Any, ...]:
    amounts = dict(entry.lines)
    against = [name for name in amounts if name != user_account(entry.user_id)]
    if len(entry.lines) != 2 or len(against) != 1 or (against[0] == ISSUED) != (entry.kind == "grant"):
        return (f"lines on {sorted(amounts)}",)
    return entry.user_id, entry.reference, entry.result_id, amounts[user_account(entry.user_id)]


def _check_results(connection: Connection, result: Audit) -> None:
    """A failure may come again after a retry, with another usage id and nothing charged; a charge may not."""
    charged = (
        select(entries.c.result_id, func.count())
        .join(entry_lines, entry_lines.c.entry_id == entries.c.id)
        .where(entries.c.kind == "usage", entry_lines.c.amount > 0)
        .group_by(entries.c.result_id)
        .having(func.count() > 1)
    )
    for result_id, count in connection.execute(charged):
        result.add(f"result {result_id}", f"it was charged {count} times")
    without = select(entries.c.id).where(entries.c.kind == "usage", entries.c.result_id.is_(None))
    for entry in connection.scalars(without):
        result.add(f"entry {entry}", "it charges no result")
