"""Requests that are patient where the service says that asking again helps."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import httpx

from ocr_services_client.errors import OcrServicesError, Unreachable, error_of

_RETRIED = frozenset({429, 503})
_PAUSE_SECONDS = 1.0
_PAUSE_SECONDS_MAX = 30.0


class Http:
    """Calls the API with one key. Every call of the API is safe to repeat, so all of them are, a few times."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout_seconds: float,
        retries_max: int,
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = httpx.Client(
            base_url=base_url, headers={"X-API-Key": api_key}, timeout=timeout_seconds, transport=transport
        )
        # A client of its own: the key must not travel to the store.
        self._store = httpx.Client(timeout=timeout_seconds, transport=transport)
        self._retries_max = retries_max
        self.sleep = sleep

    def close(self) -> None:
        """Closes its connections."""
        self._api.close()
        self._store.close()

    def call(self, method: str, path: str, *, expected: Collection[int] = (200,), **content: Any) -> httpx.Response:
        """An answer with one of the expected statuses.

        Raises:
            ApiError: another status, still after the last attempt.
            Unreachable: no answer.
        """
        for attempt in range(self._retries_max + 1):
            try:
                answer = self._api.request(method, path, **content)
            except httpx.TransportError as error:
                problem: OcrServicesError = _unreachable(error)
                pause = _backoff(attempt)
            else:
                if answer.status_code in expected:
                    return answer
                failure = error_of(answer)
                if answer.status_code not in _RETRIED:
                    raise failure
                problem, pause = failure, failure.retry_after_seconds or _backoff(attempt)
            if attempt == self._retries_max:
                raise problem
            self.sleep(min(pause, _PAUSE_SECONDS_MAX))
        raise AssertionError("unreachable")

    def put(self, method: str, url: str, headers: dict[str, str], body: bytes) -> bool:
        """Sends a file to a presigned URL; False where the store cannot be reached from here, or refuses."""
        try:
            return self._store.request(method, url, content=body, headers=headers).is_success
        except httpx.TransportError:
            return False


def _backoff(attempt: int) -> float:
    return _PAUSE_SECONDS * float(2**attempt)


def _unreachable(error: httpx.TransportError) -> Unreachable:
    return Unreachable(f"the service cannot be reached: {error or type(error).__name__}")
