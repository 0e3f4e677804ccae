"""What can go wrong, as types. Branch on `ApiError.code`: codes are stable, sentences are for people."""

from __future__ import annotations

import httpx


class OcrServicesError(Exception):
    """Anything below; its text is a sentence a person can act on."""


class Unreachable(OcrServicesError):
    """No answer came: the service, or the store that the file goes to, could not be reached."""


class MaybeStored(OcrServicesError):
    """A file was sent, and no answer tells whether it is stored: to upload it again may charge it twice.

    `key` is where it lies if it is stored: `process(key)` reads it, or says `file_not_found`, and then it may be
    uploaded again. None where the API was to choose the key: look among `results()`.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class TimedOut(OcrServicesError):
    """The result was not there in time. The work goes on, and asking again costs nothing more."""


class ApiError(OcrServicesError):
    """The service said no.

    `status` is the HTTP status, or None where a result that was asked for later had failed or been refused.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds


def error_of(answer: httpx.Response) -> ApiError:
    """The error that an answer is; one that has another shape did not come from the API but from what is before it."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    said = body if isinstance(body, dict) else {}
    return ApiError(
        str(said.get("error") or f"the service answered with status {answer.status_code}"),
        code=str(said.get("code") or f"http_{answer.status_code}"),
        status=answer.status_code,
        request_id=said.get("requestId") or answer.headers.get("X-Request-Id"),
        retry_after_seconds=_seconds(answer.headers.get("Retry-After")),
    )


def _seconds(text: str | None) -> float | None:
    # A proxy may send a date here: it then counts as not said.
    return float(text) if text is not None and text.isdecimal() else None
