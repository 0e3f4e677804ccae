"""Every error the API answers with: one shape, stable codes, no internals."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.base import WireModel
from services.api.request_id import request_id_of
from services.api.waiters import HungUp, Overloaded
from services.runtime.errors import (
    BrokerUnavailable,
    BucketMissing,
    DatabaseUnavailable,
    StoreUnavailable,
    TransientError,
)
from services.runtime.metrics import REFUSALS

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ErrorKind:
    """One code: its HTTP status, when it comes, and a message as an example."""

    status: int
    when: str
    example: str
    retriable: bool = False


ERRORS: Mapping[str, ErrorKind] = {
    "invalid_request": ErrorKind(
        400, "The body is not JSON, or a field is missing or of another type.", "key: Field required"
    ),
    "invalid_key": ErrorKind(
        400, "The key is not of the form `ocr/<user_id>/<filename.ext>`.", "Invalid file key format"
    ),
    "invalid_webhook": ErrorKind(
        400,
        "The address is none that webhooks may reach, or there are too many.",
        "The host hook.example is at 10.1.2.3, which is not a public address",
    ),
    "invalid_api_key": ErrorKind(
        401, "The API key is missing, unknown, revoked or expired.", "Missing API key: send it as X-API-Key"
    ),
    "insufficient_tokens": ErrorKind(
        402,
        "The balance is at or below zero.",
        "Insufficient tokens: your balance is 0. The uploaded file is kept and is read by itself after a top-up; "
        "do not upload it again",
    ),
    "forbidden": ErrorKind(403, "The API key lacks the scope.", "This API key lacks the scope 'process'"),
    "file_not_found": ErrorKind(
        404, "Nothing of yours is there.", "File not found: upload it first, then process its key"
    ),
    "webhook_not_found": ErrorKind(
        404, "There is no such webhook or delivery of yours.", "There is no such webhook or delivery"
    ),
    "not_found": ErrorKind(404, "There is no such page.", "There is no such page; /docs lists all there are"),
    "method_not_allowed": ErrorKind(
        405, "The page does not take this method.", "This page does not take PUT; it takes POST"
    ),
    "object_changed": ErrorKind(
        409, "The object was overwritten while it was read.", "The file was overwritten while it was read", True
    ),
    "result_deleted": ErrorKind(
        410, "The result of this very content was deleted, or its time is over.", "The result of this file was deleted"
    ),
    "file_too_large": ErrorKind(
        413, "More bytes, pixels or pages than allowed.", "The file has 60000000 bytes, at most 50000000 are read"
    ),
    "request_too_large": ErrorKind(
        413, "The body of the request is too long.", "The request body has more than 65536 bytes"
    ),
    "unsupported_media_type": ErrorKind(
        415, "Neither an image nor a PDF, by its content.", "The file is neither an image nor a PDF"
    ),
    "unreadable_document": ErrorKind(
        422, "Truncated, corrupt, encrypted, or it took too long.", "The image is truncated"
    ),
    "rate_limited": ErrorKind(
        429, "Too many requests of this key.", "Too many requests: at most 6000 at once; try again in 1 s", True
    ),
    "internal_error": ErrorKind(500, "A fault of ours.", "Internal error; quote the requestId when you report it"),
    "overloaded": ErrorKind(
        503, "Too many are waiting.", "Too many requests are waiting; try again in some seconds", True
    ),
    "unavailable": ErrorKind(
        503, "Something the API depends on is down.", "The object store cannot be reached; try again later", True
    ),
    "timed_out": ErrorKind(
        504, "The wait ran out; the work goes on.", "Still being processed: ask again, it is charged once", True
    ),
}
"""By code."""

_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}", re.IGNORECASE)
_HUNG_UP_STATUS = 499
_BY_STATUS = {400: "invalid_request", 401: "invalid_api_key", 403: "forbidden", 404: "not_found"} | {
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    503: "unavailable",
}
"""What the framework's own refusals are called."""


class ErrorBody(WireModel):
    """What every error looks like; clients branch on `code`."""

    error: str = Field(description="A sentence a person can act on.")
    code: str = Field(description="Stable.")
    request_id: str = Field(description="The same as the header X-Request-Id.")


class ApiError(HTTPException):
    """An answer that is an error; its status follows from its code."""

    def __init__(self, code: str, message: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.code = code
        super().__init__(ERRORS[code].status, message or ERRORS[code].example, dict(headers or {}))


def unavailable(message: str, retry_after_seconds: int) -> ApiError:
    """A dependency is down: try again later."""
    return ApiError("unavailable", message, {"Retry-After": str(retry_after_seconds)})


def error_response(code: str, message: str, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that says it."""
    REFUSALS.labels(code=code).inc()
    body = ErrorBody(error=message, code=code, request_id=request_id)
    return Response(body.to_json(), ERRORS[code].status, headers, "application/json")


_UNPARSABLE = "There was an error parsing the body"
"""As the framework says it of JSON that is too deep, has too long numbers, or is in no encoding of Unicode."""

_UNAVAILABLE: Mapping[type[TransientError], str] = {
    # Before its base class: the first that fits is told.
    BucketMissing: "The object store lacks a bucket that the service needs; its operator has to create it",
    StoreUnavailable: "The object store cannot be reached; try again later",
    BrokerUnavailable: "The request cannot be queued right now; try again later",
    DatabaseUnavailable: "The database cannot be reached; try again later",
}


def install_error_handlers(app: FastAPI, retry_after_seconds: int) -> None:
    """Gives the framework's refusals, and ours, the one shape."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error, ApiError):
            return error_response(error.code, error.detail, request_id_of(request.scope), error.headers)
        code = _BY_STATUS.get(error.status_code, "invalid_request" if error.status_code < 500 else "internal_error")
        headers = dict(error.headers or {})
        if "Allow" in headers:
            headers["Allow"] = _allowed(request, headers["Allow"])
        message = _sentence(request, code, error, headers)
        return error_response(code, message, request_id_of(request.scope), headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        message = describe_invalid(error, request.headers.get("content-type"))
        return error_response("invalid_request", message, request_id_of(request.scope))

    async def busy(request: Request, _error: Exception) -> Response:
        retry = {"Retry-After": str(retry_after_seconds)}
        return error_response("overloaded", ERRORS["overloaded"].example, request_id_of(request.scope), retry)

    async def down(request: Request, error: Exception) -> Response:
        _log.warning("a dependency is down: %s", error, extra={"reason": type(error).__name__})
        message = next((text for kind, text in _UNAVAILABLE.items() if isinstance(error, kind)), "Try again later")
        retry = {"Retry-After": str(retry_after_seconds)}
        return error_response("unavailable", message, request_id_of(request.scope), retry)

    async def nobody(_request: Request, _error: Exception) -> Response:
        # Nobody reads it; in the metrics and the log it is told apart from answers.
        return Response(status_code=_HUNG_UP_STATUS)

    app.add_exception_handler(Overloaded, busy)
    app.add_exception_handler(HungUp, nobody)
    app.add_exception_handler(TransientError, down)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)


def _allowed(request: Request, of_one_route: str) -> str:
    """The methods of a page: the framework names those of its first route, the document those of all."""
    path = getattr(request.scope.get("route"), "path", "")
    documented = {method.upper() for method in request.app.openapi()["paths"].get(path, ())}
    return ", ".join(sorted(documented | set(filter(None, of_one_route.split(", ")))))


def _sentence(request: Request, code: str, error: HTTPException, headers: Mapping[str, str]) -> str:
    """What the framework refused, as a person can act on it."""
    if code == "not_found":
        return ERRORS[code].example
    if code == "method_not_allowed":
        return f"This page does not take {request.method}; it takes {headers.get('Allow', 'others')}"
    if error.detail == _UNPARSABLE:
        return "The body is not valid JSON"
    return error.detail or HTTPStatus(error.status_code).phrase


def describe_invalid(error: RequestValidationError, content_type: str | None) -> str:
    """What is wrong with a request, in one sentence, without what was sent."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"The body is not valid JSON: {first['ctx']['error']}"
    if first["loc"] == ("body",):
        if first["type"] == "missing":
            return "The body is missing: send a JSON object"
        # The framework reads a body as JSON only where its type says so; else it stays the bytes that came.
        if isinstance(first["input"], bytes):
            return f"The body is not JSON by its Content-Type ({_shown(content_type)}): send application/json"
        return "The body is no JSON object"
    where = ".".join(str(part) for part in first["loc"][1:])
    return f"{where}: {first['msg']}" if where else f"The {first['loc'][0]} is invalid: {first['msg']}"


def _shown(content_type: str | None) -> str:
    """A media type as it may be told back: what is no such thing is not."""
    return content_type if content_type and _MEDIA_TYPE.fullmatch(content_type) else "none was sent"
