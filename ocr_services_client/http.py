"""Requests that are patient where the service says that asking again helps."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import httpx

from ocr_services_client.errors import ApiError, MaybeStored, OcrServicesError, Unreachable, error_of

_RETRIED = frozenset({429, 503})
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""No connection came about: nothing of the request has arrived. Any other trouble may have come after it had."""
_TURNED_AWAY = "overloaded"
"""The code of the one 5xx that comes before anything is stored."""
_PAUSE_SECONDS = 1.0
_PAUSE_SECONDS_MAX = 30.0


class Http:
    """Calls the API with one key. Calls that are safe to repeat, all but one, are repeated, a few times."""

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

    def call(
        self, method: str, path: str, *, expected: Collection[int] = (200,), repeatable: bool = True, **content: Any
    ) -> httpx.Response:
        """An answer with one of the expected statuses. What is not repeatable is, while it certainly did nothing.

        Raises:
            ApiError: another status, still after the last attempt.
            Unreachable: no answer.
            MaybeStored: no answer, or a fault of the service, to what is not repeatable.
        """
        for attempt in range(self._retries_max + 1):
            try:
                answer = self._api.request(method, path, **content)
            except httpx.TransportError as error:
                problem: OcrServicesError = _unreachable(self._api.base_url, error)
                if not repeatable and not isinstance(error, _NOT_SENT):
                    raise _stored_somewhere(problem) from error
                pause = _backoff(attempt)
            else:
                if answer.status_code in expected:
                    return answer
                failure = error_of(answer)
                if not repeatable and answer.status_code >= 500 and failure.code != _TURNED_AWAY:
                    raise _stored_somewhere(failure) from failure
                if answer.status_code not in _RETRIED:
                    raise failure
                problem, pause = failure, failure.retry_after_seconds or _backoff(attempt)
            if attempt == self._retries_max:
                raise problem
            self.sleep(min(pause, _PAUSE_SECONDS_MAX))
        raise AssertionError("unreachable")

    def put(self, ticket: dict[str, Any], body: bytes) -> bool:
        """Sends a file to a presigned URL; False where it is certainly not stored.

        Where it is not certain the same is sent again: the same content under the same key is the same object.

        Raises:
            MaybeStored: no answer told, up to the last attempt.
        """
        problem: OcrServicesError | None = None
        for attempt in range(self._retries_max + 1):
            if attempt:
                self.sleep(min(_backoff(attempt - 1), _PAUSE_SECONDS_MAX))
            try:
                answer = self._store.request(
                    ticket["method"], ticket["uploadUrl"], content=body, headers=ticket["headers"]
                )
            except httpx.TransportError as error:
                if problem is None and isinstance(error, _NOT_SENT):
                    return False
                problem = Unreachable(f"the store did not answer: {error or type(error).__name__}")
                continue
            if answer.is_success:
                return True
            if answer.status_code < 500:
                if problem is None:
                    return False
                # An earlier attempt may have arrived all the same; the URL, say, has expired since.
                break
            problem = OcrServicesError(f"the store answered with status {answer.status_code}")
        key = str(ticket["key"])
        raise MaybeStored(
            f"{problem}; the file may be stored as {key}: process this key, and upload again only if it is not found",
            key=key,
        )


def _backoff(attempt: int) -> float:
    return _PAUSE_SECONDS * float(2**attempt)


def _stored_somewhere(problem: OcrServicesError) -> MaybeStored:
    request = f" (request {problem.request_id})" if isinstance(problem, ApiError) and problem.request_id else ""
    return MaybeStored(
        f"{problem}{request}; the file may be stored: upload it again only if it is not among your results"
    )


def _unreachable(url: httpx.URL, error: httpx.TransportError) -> Unreachable:
    # `netloc` is host and port: a password in the address is not told.
    address = f"{url.scheme}://{url.netloc.decode()}"
    return Unreachable(f"the service at {address} cannot be reached: {str(error) or type(error).__name__}")
