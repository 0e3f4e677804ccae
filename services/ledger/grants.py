"""Grants: tokens given to a user, once an idempotency key. A grant opens the account."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, select

from schemas.identity import is_user_id
from services.ledger.book import apply_postings, in_transaction
from services.ledger.posting import Outcome, credit, entry_id, user_account
from services.ledger.tables import accounts

AMOUNT_MAX = 10**12
"""Tokens of one grant; so that no sum leaves 64 bits."""
NOTE_LENGTH_MAX = 500
_KEY = re.compile(r"[!-~]{1,200}")


class InvalidGrant(ValueError):
    """A grant that cannot be made, whoever asks."""


class GrantConflict(Exception):
    """The idempotency key was used for another grant; nothing was posted."""


@dataclass(frozen=True)
class Granted:
    """A grant as it stands in the ledger; `is_new` is false when the key had been used for the same before."""

    entry_id: str
    user_id: str
    amount: int
    balance: int
    is_new: bool


def grant(engine: Engine, user_id: str, amount: int, key: str, *, now: datetime, note: str | None = None) -> Granted:
    """Gives `amount` tokens to a user. The same key again is the same grant.

    Raises:
        InvalidGrant: no user id, no idempotency key, or no amount of 1 to `AMOUNT_MAX` tokens.
        GrantConflict: the key was used for another user, amount or note.
        TransientError: the database is away; whether the grant stands is not known: repeat it with its key.
    """
    _check(user_id, amount, key, note)
    posting = credit(user_id, amount, key, note)

    def apply(connection: Connection) -> tuple[Outcome, int]:
        outcome = apply_postings(connection, [posting], now)
        balance = connection.scalar(select(accounts.c.balance).where(accounts.c.id == user_account(user_id)))
        return outcome, balance or 0

    outcome, balance = in_transaction(engine, apply, now)
    if outcome.conflicts:
        raise GrantConflict(f"the key {key} was used for another grant")
    return Granted(entry_id("grant", key), user_id, amount, balance, is_new=bool(outcome.entries))


def _check(user_id: str, amount: int, key: str, note: str | None) -> None:
    if not is_user_id(user_id):
        raise InvalidGrant(f"{user_id!r} is no user id: letters, digits, dots, dashes and underscores, at most 64")
    if not 1 <= amount <= AMOUNT_MAX:
        raise InvalidGrant(f"a grant is of 1 to {AMOUNT_MAX} tokens")
    if _KEY.fullmatch(key) is None:
        raise InvalidGrant("an idempotency key is of 1 to 200 printable ASCII characters, without spaces")
    if note is not None and (len(note) > NOTE_LENGTH_MAX or "\x00" in note):
        raise InvalidGrant(f"a note has at most {NOTE_LENGTH_MAX} characters")
