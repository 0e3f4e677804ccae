"""The client: one method for each thing the API does, and `read` for all of them at once."""

from __future__ import annotations

import mimetypes
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from ocr_services_client.errors import ApiError, OcrServicesError, TimedOut, Unreachable
from ocr_services_client.http import Http
from ocr_services_client.models import (
    Balance,
    LayoutFormat,
    Result,
    ResultItem,
    Status,
    Transaction,
    UnfinishedResult,
    moment,
)

_POLL_SECONDS = 0.5
_POLL_SECONDS_MAX = 5.0
_WAIT_SECONDS_MAX = 30.0
"""How long one POST is held open; beyond it the result is polled for."""

_ANY_TYPE = "application/octet-stream"
_TYPES = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp", "image/gif", "image/heic", "image/heif"}
    | {"application/pdf"}
)


class Client:
    """Calls the API with one key. Use it in a `with` statement, or close it; threads may share it.

    Every method raises `ApiError` where the service says no and `Unreachable` where it does not answer; both after
    some retries where these may help. What uploads raises `MaybeStored` where another try may charge twice.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        retries_max: int = 4,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`base_url` and `api_key` default to the environment's `OCR_URL` and `OCR_API_KEY`."""
        key = api_key or os.environ.get("OCR_API_KEY")
        if not key:
            raise OcrServicesError("there is no API key: pass one, or set OCR_API_KEY")
        url = base_url or os.environ.get("OCR_URL") or "http://127.0.0.1:8000"
        self._http = Http(url, key, timeout_seconds=timeout_seconds, retries_max=retries_max, transport=transport)
        self._clock = clock

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def read(self, file: str | os.PathLike[str], *, timeout_seconds: float = 600.0) -> Result:
        """Uploads a file and waits for its text.

        Each call uploads anew, and is charged anew: keep the key that `upload` returns to ask again for free.

        Raises:
            MaybeStored: the file was sent, and no answer tells whether it is stored.
            TimedOut: it is still being read; `process` with the same key goes on waiting.
        """
        path = Path(file)
        return self.process(self.upload(path.read_bytes(), path.name), timeout_seconds=timeout_seconds)

    def upload(
        self,
        body: bytes,
        filename: str,
        *,
        content_type: str | None = None,
        on_key: Callable[[str | None], None] = lambda _: None,
    ) -> str:
        """Stores a file and returns its key; it begins to be read by itself.

        `on_key` is called with the key before the first byte is sent: whoever keeps it can find out later, after
        whatever happened, whether the file had arrived. Where the file goes through the API, which chooses the key,
        it is called with None before, and with a key once the outcome is known: the new one, or, where nothing was
        stored, the first one again.

        Raises:
            MaybeStored: the file was sent, and no answer tells whether it is stored.
        """
        media_type = content_type or media_type_of(filename)
        request = {"filename": filename, "contentType": media_type, "size": len(body)}
        ticket = self._http.call("POST", "/api/files/upload", expected=(201,), json=request).json()
        key = str(ticket["key"])
        on_key(key)
        if self._http.put(ticket, body):
            return key
        # The store is somewhere this machine cannot reach: the API takes files, too.
        on_key(None)
        files = {"file": (filename, body, media_type)}
        try:
            # Each time it is stored under another key, and charged.
            answer = self._http.call("POST", "/api/files", expected=(201,), repeatable=False, files=files)
        except (ApiError, Unreachable):
            on_key(key)
            raise
        key = str(answer.json()["key"])
        on_key(key)
        return key

    def process(self, key: str, *, timeout_seconds: float = 600.0) -> Result:
        """Waits for the text of an uploaded file. Asked again: the same result, without another charge.

        Raises:
            ApiError: it cannot be read, or the account has no tokens.
            TimedOut: it is still being read.
        """
        deadline = self._clock() + timeout_seconds
        wait = max(1, int(min(_WAIT_SECONDS_MAX, timeout_seconds)))
        answer = self._post(key, f"wait={wait}")
        if answer.status_code == 200:
            return Result.of(answer.json())
        return self.wait(answer.json()["id"], timeout_seconds=max(0.0, deadline - self._clock()))

    def submit(self, key: str) -> str:
        """Has an uploaded file read, without waiting; returns the id of its result."""
        return str(self._post(key, "respond-async").json()["id"])

    def wait(self, result_id: str, *, timeout_seconds: float = 600.0) -> Result:
        """Waits for a result.

        Raises:
            ApiError: it failed, was refused, or was deleted.
            TimedOut: it is still pending.
        """
        deadline, pause = self._clock() + timeout_seconds, _POLL_SECONDS
        while True:
            found = self.result(result_id)
            if isinstance(found, Result):
                return found
            if found.status != "pending":
                raise _error_of_result(found)
            if self._clock() + pause > deadline:
                raise TimedOut(f"still being read after {timeout_seconds:g} s; ask again later, it is charged once")
            self._http.sleep(pause)
            pause = min(pause * 1.5, _POLL_SECONDS_MAX)

    def result(self, result_id: str) -> Result | UnfinishedResult:
        """A result as it stands now."""
        body = self._http.call("GET", f"/api/ocr/results/{result_id}").json()
        return Result.of(body) if body["status"] == "completed" else UnfinishedResult.of(body)

    def results(self, *, key: str | None = None, status: Status | None = None) -> Iterator[ResultItem]:
        """All results, newest first, fetched page by page as they are asked for."""
        query = {name: value for name, value in (("key", key), ("status", status)) if value is not None}
        return map(ResultItem.of, self._pages("/api/ocr/results", "results", query))

    def layout(self, result_id: str, layout_format: LayoutFormat = "json") -> bytes:
        """Words, boxes and confidences in a format; `pdf` is the searchable PDF."""
        query = {"format": layout_format}
        return self._http.call("GET", f"/api/ocr/results/{result_id}/layout", params=query).content

    def delete(self, result_id: str) -> None:
        """Removes a result's text and layout. What it cost stays, and the same object is not read again."""
        self._http.call("DELETE", f"/api/ocr/results/{result_id}", expected=(204,))

    def balance(self) -> Balance:
        """What is left."""
        body = self._http.call("GET", "/api/tokens/balance").json()
        return Balance(body["balance"], moment(body["asOf"]))

    def transactions(self) -> Iterator[Transaction]:
        """What was spent and granted, newest first."""
        return map(Transaction.of, self._pages("/api/tokens/transactions", "transactions", {}))

    def _post(self, key: str, preference: str) -> httpx.Response:
        body, headers = {"key": key}, {"Prefer": preference}
        return self._http.call("POST", "/api/ocr/process", expected=(200, 202), json=body, headers=headers)

    def _pages(self, path: str, field: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        cursor: dict[str, str] = {}
        while True:
            page = self._http.call("GET", path, params=query | cursor).json()
            yield from page[field]
            if page["nextCursor"] is None:
                return
            cursor = {"cursor": page["nextCursor"]}


def media_type_of(filename: str) -> str:
    """The type a name suggests; any other than those that are read is left open, for the content decides."""
    guessed = mimetypes.guess_type(filename)[0]
    return guessed if guessed in _TYPES else _ANY_TYPE


def _error_of_result(found: UnfinishedResult) -> ApiError:
    if found.status == "deleted":
        return ApiError("the result of this file was deleted", code="result_deleted")
    return ApiError(found.reason or f"the result is {found.status}", code=found.code or found.status)
