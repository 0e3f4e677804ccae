"""The local user: an account with tokens and an API key that stay the same over restarts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine

from services.api.keys import ApiKeys, Scope
from services.ledger.grants import grant
from services.local.environment import settings_from
from services.local.layout import Layout
from services.runtime.database import create_database
from services.runtime.settings import DatabaseSettings

USER_ID = "demo"
GRANT_TOKENS = 10_000
GRANT_KEY = "local-user"
"""The idempotency key of the grant: however often the stack starts, it is given once."""


@dataclass(frozen=True)
class LocalUser:
    """Who uses the local stack. The API key is kept in the data directory, readable by its owner alone."""

    user_id: str
    api_key: str


def ensure_local_user(layout: Layout, environment: Mapping[str, str]) -> LocalUser:
    """The local user with an account, a grant and a valid API key, made where they are missing."""
    engine = create_database(settings_from(DatabaseSettings, environment))
    try:
        now = datetime.now(UTC)
        grant(engine, USER_ID, GRANT_TOKENS, key=GRANT_KEY, note="tokens to try the local stack with", now=now)
        kept = _kept(layout)
        if kept is not None and _is_valid(engine, kept, now):
            return kept
        _, text = ApiKeys(engine).create(USER_ID, list(Scope), now=now, label="local stack")
        user = LocalUser(USER_ID, text)
        _keep(layout, user)
        return user
    finally:
        engine.dispose()


def _is_valid(engine: Engine, user: LocalUser, now: datetime) -> bool:
    key = ApiKeys(engine).find(user.api_key)
    return key is not None and key.user_id == user.user_id and key.scopes >= set(Scope) and key.is_valid(now)


def _kept(layout: Layout) -> LocalUser | None:
    """What the file says; None where there is none, or none that can be read."""
    try:
        kept = json.loads(layout.credentials.read_text())
        return LocalUser(str(kept["user_id"]), str(kept["api_key"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _keep(layout: Layout, user: LocalUser) -> None:
    layout.credentials.unlink(missing_ok=True)
    descriptor = os.open(layout.credentials, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(user), file)
