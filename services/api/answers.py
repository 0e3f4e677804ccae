"""From what is known of a result to what its POST is answered."""

from schemas.document import Document, DocumentStatus
from schemas.events import Failure
from services.api.errors import ERRORS, ApiError
from services.api.models import (
    CompletedResult,
    OcrResult,
    UnfinishedResult,
    result_of_document,
)
from services.api.results import ListedResult, ResultStatus
from services.runtime.admission import Verdict


def answer_of_document(document: Document) -> OcrResult:
    """The text, or why there is none.

    Raises:
        ApiError: the failure's own code, or `result_deleted`.
    """
    if document.status is DocumentStatus.DELETED:
        raise ApiError("result_deleted", "The result of this file was deleted; it is not read again")
    if document.error is not None:
        raise error_of_failure(document.error)
    return result_of_document(document)


def error_of_failure(failure: Failure, retry_after_seconds: int | None = None) -> ApiError:
    """The error that a failed or refused result is answered with."""
    headers = {}
    if retry_after_seconds is not None and ERRORS[failure.code].retriable:
        headers["Retry-After"] = str(retry_after_seconds)
    return ApiError(failure.code, failure.reason, headers)


def error_of_verdict(verdict: Verdict, balance: int | None, retry_after_seconds: int) -> ApiError | None:
    """Why work is not taken on; None when it is."""
    if verdict is Verdict.ADMITTED:
        return None
    if verdict is Verdict.NO_ACCOUNT:
        return ApiError("insufficient_tokens", "Insufficient tokens: there is no account yet, so your balance is 0")
    if verdict is Verdict.NO_BALANCE:
        return ApiError("insufficient_tokens", f"Insufficient tokens: your balance is {balance}")
    return ApiError(
        "unavailable",
        "Balances cannot be checked right now; try again later",
        {"Retry-After": str(retry_after_seconds)},
    )


def state_of_document(document: Document) -> CompletedResult | UnfinishedResult:
    """A result as `GET` shows it, from its document."""
    if document.status is DocumentStatus.COMPLETED:
        return CompletedResult(**result_of_document(document).model_dump())
    failed = document.status is DocumentStatus.FAILED and document.error is not None
    return UnfinishedResult(
        id=document.result_id,
        status="failed" if failed else "deleted",
        key=document.key,
        created_at=document.created_at if failed else document.deleted_at or document.created_at,
        code=document.error.code if failed and document.error else None,
        reason=document.error.reason if failed and document.error else None,
    )


def state_of_row(row: ListedResult) -> UnfinishedResult | None:
    """A result as `GET` shows it, from the list; None if only its document can tell."""
    if row.status is ResultStatus.COMPLETED:
        return None
    return UnfinishedResult(
        id=row.id,
        status=row.status.value,
        key=row.key,
        created_at=row.finished_at or row.requested_at,
        code=row.code,
        reason=row.reason,
    )
