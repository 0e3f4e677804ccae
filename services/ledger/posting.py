"""Postings: what usage and grants do to accounts. Pure functions; knows no Kafka and no SQL."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from schemas.base import format_time
from schemas.events import UsageRecorded
from services.ledger.hashing import GENESIS, Line, canonical_json, entry_hash, grant_payload, text_hash, usage_payload

ISSUED = "issued"
"""The account that grants come from: its balance is what was ever granted, negated."""

_ENTRY_NAMESPACE = uuid.UUID("3b0b6f2e-93f4-5d55-a3a4-2f0a9d1c7e10")
USER_PREFIX = "user:"

Kind = Literal["usage", "grant"]


def user_account(user_id: str) -> str:
    """The account of a user."""
    return USER_PREFIX + user_id


def user_of(account_id: str) -> str | None:
    """The user whose account this is; None for an account of ours."""
    return account_id.removeprefix(USER_PREFIX) if account_id.startswith(USER_PREFIX) else None


def revenue_account(partition: int) -> str:
    """Where debits go: one account a usage partition, so that replicas do not wait for each other's row."""
    return f"revenue:{partition}"


# Named tuples rather than dataclasses where there is one for every event: they cost a quarter to make.
class Account(NamedTuple):
    """An account as it stands: balance in tokens, version of its balance, number and hash of its newest entry."""

    id: str
    balance: int = 0
    version: int = 0
    sequence: int = 0
    last_hash: str = GENESIS


class Posting(NamedTuple):
    """What is to be posted: `amount` tokens onto the user's account, and off `against`."""

    kind: Kind
    user_id: str
    reference: str
    amount: int
    against: str
    payload: str
    payload_hash: str
    usage: UsageRecorded | None = None
    partition: int = -1
    """Of the usage event."""
    offset: int = -1
    note: str | None = None

    @property
    def lines(self) -> tuple[Line, Line]:
        """Both sides, which sum to zero."""
        return (user_account(self.user_id), self.amount), (self.against, -self.amount)

    @property
    def result_id(self) -> str | None:
        """The result that a usage event charges."""
        return self.usage.result_id if self.usage else None


class Entry(NamedTuple):
    """A posting that was applied: its place in the chain of its user's account."""

    id: str
    posting: Posting
    sequence: int
    previous_hash: str
    entry_hash: str
    posted_at: datetime

    def event_json(self) -> str:
        """The entry as `schemas.events.EntryPosted` carries it: put together from text that is validated already."""
        posting = self.posting
        fields: dict[str, object] = {
            "entryId": self.id,
            "kind": posting.kind,
            "userId": posting.user_id,
            "reference": posting.reference,
            "resultId": posting.result_id,
            "lines": [{"account": account, "amount": amount} for account, amount in posting.lines],
            "payloadHash": posting.payload_hash,
            "sequence": self.sequence,
            "previousHash": self.previous_hash,
            "entryHash": self.entry_hash,
            "postedAt": format_time(self.posted_at),
            "note": posting.note,
        }
        usage = posting.payload if posting.usage else "null"
        return f'{canonical_json(fields)[:-1]},"usage":{usage}}}'


@dataclass(frozen=True, slots=True)
class Conflict:
    """A posting whose reference is in the ledger with another payload: never applied."""

    posting: Posting
    posted_hash: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch of postings comes to; `accounts` are those that changed, as they stand afterwards."""

    entries: list[Entry]
    accounts: dict[str, Account]
    conflicts: list[Conflict]
    duplicates: int


def debit(usage: UsageRecorded, partition: int, offset: int) -> Posting:
    """The posting of a usage event."""
    payload = usage_payload(usage)
    return Posting(
        kind="usage",
        user_id=usage.user_id,
        reference=usage.usage_id,
        amount=-usage.tokens,
        against=revenue_account(partition),
        payload=payload,
        payload_hash=text_hash(payload),
        usage=usage,
        partition=partition,
        offset=offset,
    )


def credit(user_id: str, amount: int, key: str, note: str | None) -> Posting:
    """The posting of a grant; `key` is its idempotency key."""
    payload = grant_payload(user_id, amount, note)
    return Posting(
        kind="grant",
        user_id=user_id,
        reference=key,
        amount=amount,
        against=ISSUED,
        payload=payload,
        payload_hash=text_hash(payload),
        note=note,
    )


def accounts_of(postings: Iterable[Posting]) -> set[str]:
    """The accounts that these postings change."""
    return {account for posting in postings for account in (user_account(posting.user_id), posting.against)}


def post(
    postings: Iterable[Posting], accounts: Mapping[str, Account], posted: Mapping[str, str], now: datetime
) -> Outcome:
    """Applies postings of one kind in the order given; each reference once, for ever.

    Args:
        postings: duplicates and all.
        accounts: every account of `accounts_of(postings)`, as it stands.
        posted: payload hash by reference, of those that are in the ledger already.
        now: the time of the entries, in whole milliseconds.
    """
    hashes = dict(posted)
    posted_at = format_time(now)
    after: dict[str, Account] = {}
    entries: list[Entry] = []
    conflicts: list[Conflict] = []
    duplicates = 0
    for posting in postings:
        known = hashes.get(posting.reference)
        if known is None:
            hashes[posting.reference] = posting.payload_hash
            entries.append(_apply(posting, after, accounts, now, posted_at))
        elif known == posting.payload_hash:
            duplicates += 1
        else:
            conflicts.append(Conflict(posting, known))
    changed = {name: account._replace(version=account.version + 1) for name, account in after.items()}
    return Outcome(entries, changed, conflicts, duplicates)


def entry_id(kind: Kind, reference: str) -> str:
    """The id of an entry follows from what it posts: replayed after a restore, it is the same."""
    return str(uuid.uuid5(_ENTRY_NAMESPACE, f"{kind}/{reference}"))


def _apply(
    posting: Posting, after: dict[str, Account], before: Mapping[str, Account], now: datetime, posted_at: str
) -> Entry:
    """Makes the entry and moves both accounts in `after`; only the user's has a chain."""
    name = user_account(posting.user_id)
    user = after.get(name) or before[name]
    against = after.get(posting.against) or before[posting.against]
    entry = _entry(posting, user, now, posted_at)
    after[name] = Account(name, user.balance + posting.amount, user.version, entry.sequence, entry.entry_hash)
    after[against.id] = against._replace(balance=against.balance - posting.amount)
    return entry


def _entry(posting: Posting, user: Account, now: datetime, posted_at: str) -> Entry:
    identity = entry_id(posting.kind, posting.reference)
    digest = entry_hash(
        entry_id=identity,
        kind=posting.kind,
        user_id=posting.user_id,
        reference=posting.reference,
        result_id=posting.result_id,
        lines=posting.lines,
        payload_hash=posting.payload_hash,
        sequence=user.sequence + 1,
        previous_hash=user.last_hash,
        posted_at=posted_at,
    )
    return Entry(identity, posting, user.sequence + 1, user.last_hash, digest, now)
