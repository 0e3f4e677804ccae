"""A client of the HTTP API, as small as a user's own script would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

_TIMEOUT_SECONDS = 60.0


class ApiError(RuntimeError):
    """An answer other than the expected one; the message holds status and body."""


@dataclass(frozen=True)
class Upload:
    """Where an object was put, and its etag without quotes."""

    key: str
    etag: str


class ApiClient:
    """Calls with one API key. Close it, or use it in a `with` statement."""

    def __init__(self, base_url: str, api_key: str) -> None:
        headers = {"X-API-Key": api_key}
        # Proxies of the environment must not get between this machine and itself.
        self._api = httpx.Client(base_url=base_url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._api.close()

    def balance(self) -> int:
        """The tokens that are left."""
        return int(self._answer(self._api.get("/api/tokens/balance"), 200)["balance"])

    def upload(self, filename: str, content_type: str, body: bytes) -> Upload:
        """Asks for a presigned URL and puts the file there."""
        request = {"filename": filename, "contentType": content_type, "size": len(body)}
        ticket = self._answer(self._api.post("/api/files/upload", json=request), 201)
        stored = httpx.request(
            ticket["method"],
            ticket["uploadUrl"],
            content=body,
            headers=ticket["headers"],
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )
        if stored.status_code != 200:
            raise ApiError(f"the store answered the upload with {stored.status_code}: {stored.text[:500]}")
        return Upload(ticket["key"], stored.headers["etag"].strip('"'))

    def process(self, key: str) -> dict[str, Any]:
        """The text of an uploaded file, as in the contract."""
        return self._answer(self._api.post("/api/ocr/process", json={"key": key}), 200)

    def _answer(self, response: httpx.Response, status: int) -> dict[str, Any]:
        if response.status_code != status:
            request = response.request
            raise ApiError(f"{request.method} {request.url.path}: {response.status_code} {response.text[:500]}")
        answer: dict[str, Any] = response.json()
        return answer
