"""Who calls, and what they may do."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from services.api.errors import ApiError
from services.api.keys import ApiKey, Scope, hash_key, looks_like_key

_CACHED_MAX = 10_000


@dataclass(frozen=True)
class Caller:
    """The user behind a valid key."""

    user_id: str
    key_id: str
    scopes: frozenset[Scope]


class KeyFinder(Protocol):
    """Where keys are looked up: see `services.api.keys.ApiKeys`."""

    def find(self, text: str) -> ApiKey | None:
        """The key of this text, valid or not."""


class Authenticator:
    """Turns the text of a key into its caller. Valid keys are remembered, by hash, for some seconds."""

    def __init__(
        self,
        keys: KeyFinder,
        executor: Executor,
        cache_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._executor = executor
        self._cache_seconds = cache_seconds
        self._now = now
        self._clock = clock
        self._cached: dict[str, tuple[ApiKey, float]] = {}

    async def authenticate(self, text: str | None) -> Caller:
        """The caller of a key.

        Raises:
            ApiError: `invalid_api_key`: missing, unknown, revoked or expired.
            DatabaseUnavailable: it cannot be looked up now.
        """
        if not text:
            raise _no_valid_key("Missing API key: send it in the header X-API-Key")
        key = await self._find(text) if looks_like_key(text) else None
        # One sentence for all three: what is wrong with a guessed key is nobody's business.
        if key is None or not key.is_valid(self._now()):
            raise _no_valid_key("This API key is unknown, revoked or expired")
        return Caller(key.user_id, key.id, key.scopes)

    async def _find(self, text: str) -> ApiKey | None:
        hashed = hash_key(text)
        found = self._cached.get(hashed)
        if found is not None and self._clock() < found[1]:
            return found[0]
        key = await asyncio.get_running_loop().run_in_executor(self._executor, self._keys.find, text)
        self._cached.pop(hashed, None)
        if key is not None:
            if len(self._cached) >= _CACHED_MAX:
                self._cached.clear()
            self._cached[hashed] = (key, self._clock() + self._cache_seconds)
        return key


def _no_valid_key(message: str) -> ApiError:
    return ApiError("invalid_api_key", message, {"WWW-Authenticate": "ApiKey"})
