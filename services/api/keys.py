"""API keys: random, shown once, stored as a hash, scoped, expirable, revocable."""

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, RowMapping, insert, select, update

from schemas.identity import is_user_id
from services.api.tables import API_KEYS
from services.runtime.database import reading, transaction

_PREFIX = "ocr_"
_RANDOM_BYTES = 32
_FORM = re.compile(r"ocr_[A-Za-z0-9_\-]{43}")
_HINT_LENGTH = 10


class Scope(StrEnum):
    """What a key allows."""

    PROCESS = "process"
    READ = "read"
    WEBHOOKS = "webhooks"
    """Where results are sent: beyond the life of the key itself."""
    OPERATE = "operate"
    """The operator's view, over all users."""


class UnknownKey(LookupError):
    """There is no API key of this id."""


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key; the key itself is not."""

    id: str
    user_id: str
    scopes: frozenset[Scope]
    label: str
    hint: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether it opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def hash_key(key: str) -> str:
    """What is stored of a key. Its 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def looks_like_key(text: str) -> bool:
    """Whether `text` has the form of our keys; anything else needs no look into the database."""
    return _FORM.fullmatch(text) is not None


class ApiKeys:
    """The keys in SQL. Every call raises `DatabaseUnavailable` when the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self,
        user_id: str,
        scopes: Collection[Scope],
        *,
        now: datetime,
        expires_at: datetime | None = None,
        label: str = "",
    ) -> tuple[ApiKey, str]:
        """Makes a key and returns it; its text is told here and never again.

        Raises:
            ValueError: no user id, or no scope.
        """
        if not is_user_id(user_id):
            raise ValueError(f"{user_id!r} cannot be a user id: letters, digits, '.', '_' and '-', at most 64")
        if not scopes:
            raise ValueError("a key without any scope opens nothing")
        text = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
        key = ApiKey(str(uuid.uuid4()), user_id, frozenset(scopes), label, text[:_HINT_LENGTH], now, expires_at, None)
        with transaction(self._engine) as connection:
            connection.execute(insert(API_KEYS).values(_row_of(key) | {"key_hash": hash_key(text)}))
        return key, text

    def find(self, text: str) -> ApiKey | None:
        """The key of this text, valid or not; None if there is none."""
        wanted = hash_key(text)
        with reading(self._engine) as connection:
            row = connection.execute(select(API_KEYS).where(API_KEYS.c.key_hash == wanted)).mappings().first()
        if row is None or not hmac.compare_digest(row["key_hash"], wanted):
            return None
        return _key_of(row)

    def list(self, user_id: str | None = None) -> Sequence[ApiKey]:
        """All keys, or one user's, oldest first."""
        query = select(API_KEYS).order_by(API_KEYS.c.created_at, API_KEYS.c.id)
        if user_id is not None:
            query = query.where(API_KEYS.c.user_id == user_id)
        with reading(self._engine) as connection:
            return [_key_of(row) for row in connection.execute(query).mappings()]

    def revoke(self, key_id: str, now: datetime) -> None:
        """Ends a key; one that is revoked already stays so since then. Raises `UnknownKey`."""
        with transaction(self._engine) as connection:
            found = connection.execute(select(API_KEYS.c.id).where(API_KEYS.c.id == key_id)).first()
            if found is None:
                raise UnknownKey(key_id)
            connection.execute(
                update(API_KEYS).where(API_KEYS.c.id == key_id, API_KEYS.c.revoked_at.is_(None)).values(revoked_at=now)
            )

    def ping(self) -> None:
        """Reads from the table: fails if the database is away or was not migrated."""
        with reading(self._engine) as connection:
            connection.execute(select(API_KEYS.c.id).limit(1)).first()


def _row_of(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "user_id": key.user_id,
        "scopes": " ".join(sorted(key.scopes)),
        "label": key.label,
        "hint": key.hint,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _key_of(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        user_id=row["user_id"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"].split()),
        label=row["label"],
        hint=row["hint"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
