"""Users with tokens and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from services.api.keys import ApiKeys, Scope
from services.ledger.grants import grant
from tests.faults.installation import Installation

_OPENING_TOKENS = 10_000_000


def open_accounts(where: Installation, users: Sequence[str]) -> dict[str, str]:
    """Opens an account for each, and returns their API keys by user."""
    keys = ApiKeys(where.engine)
    for user_id in users:
        grant(where.engine, user_id, _OPENING_TOKENS, f"opening-{user_id}", now=datetime.now(UTC))
    return {user_id: keys.create(user_id, list(Scope), now=datetime.now(UTC))[1] for user_id in users}
