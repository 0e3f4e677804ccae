"""What OpenAPI says of answers: every one, each error with its code, its reason and an example."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.api.errors import ERRORS, ErrorBody
from services.api.request_id import HEADER

EXAMPLE_REQUEST_ID = "7c1f6a52-3d0e-4a0c-8a52-0e6a1b7f9d11"

Answers = dict[int | str, dict[str, Any]]

COMMON = ("invalid_request", "invalid_api_key", "forbidden", "rate_limited", "internal_error", "unavailable")
"""Errors that every endpoint with a key can answer."""

_REQUEST_ID = {"description": "Echoed when sent, else fresh.", "schema": {"type": "string"}}
_RATE_LIMIT = {
    "RateLimit-Limit": {"description": "Requests a key may make at once.", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "How many of them are left.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until all are there again.", "schema": {"type": "integer"}},
}
"""On every answer to a valid key where a limit is set."""
_RETRY_AFTER = {"description": "Seconds.", "schema": {"type": "integer"}}
_LOCATION = {"description": "Where the result will be.", "schema": {"type": "string"}}

DESCRIPTION = """\
Upload an image or a PDF, get its text.

1. `POST /api/files/upload` gives a presigned URL; PUT the file there. `POST /api/files` takes the file itself.
2. `POST /api/ocr/process` with the file's key waits for the text and returns it.

A file that was uploaded is processed by itself, too: the POST then finds the result. However often a file is asked
for, it is charged once: 50 tokens a page and one a word, and nothing but a completed result is charged.

Errors have one shape, `{"error", "code", "requestId"}`; branch on `code`.
"""


def errors(*codes: str) -> Answers:
    """The documented error answers of these codes; codes of one status are examples of one answer."""
    answers: Answers = {}
    for code in codes:
        kind = ERRORS[code]
        answer = answers.setdefault(
            kind.status,
            {"model": ErrorBody, "description": "", "content": {"application/json": {"examples": {}}}, "headers": {}},
        )
        answer["description"] = " ".join(filter(None, (answer["description"], f"`{code}`: {kind.when}")))
        answer["content"]["application/json"]["examples"][code] = {
            "summary": kind.when,
            "value": {"error": kind.example, "code": code, "requestId": EXAMPLE_REQUEST_ID},
        }
        if kind.status in (429, 503, 504):
            answer["headers"]["Retry-After"] = _RETRY_AFTER
        if kind.status == 504:
            answer["headers"]["Location"] = _LOCATION
    return answers


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The document, without the framework's own idea of validation errors, which never leave this API."""
    document = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=app.openapi_tags
    )
    for path in document["paths"].values():
        for operation in path.values():
            _tidy(operation["responses"], _RATE_LIMIT if operation.get("security") else {})
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _tidy(responses: dict[str, Any], headers: Mapping[str, Any]) -> None:
    invalid = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if invalid.get("$ref", "").endswith("/HTTPValidationError"):
        del responses["422"]
    for status, response in responses.items():
        response.setdefault("headers", {})[HEADER] = _REQUEST_ID
        # Whose key is not known has no limit of its own.
        response["headers"] |= {} if status == "401" else headers


def accepted(headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The headers of a 202."""
    applied = {"description": "What of `Prefer` was honoured.", "schema": {"type": "string"}}
    return {"Location": _LOCATION, "Retry-After": _RETRY_AFTER, "Preference-Applied": applied, **(headers or {})}
