"""From what is known of a result to what its POST is answered."""

from schemas.document import Document, DocumentStatus
from schemas.events import Failure
from services.api.errors import ERRORS, ApiError
from services.api.models import (
    CompletedResult,
    OcrResult,
    ResultItem,
    UnfinishedResult,
    result_of_document,
)
from services.api.result_ids import no_such_result
from services.api.results import ListedResult, ResultStatus
from services.runtime.admission import Verdict


def answer_of_document(document: Document) -> OcrResult:
    """The text, or why there is none.

    Raises:
        ApiError: the failure's own code, or `result_deleted`.
    """
    return result_of_document(completed_or_error(document))


def completed_or_error(document: Document) -> Document:
    """The document, if it holds a text. Raises as `answer_of_document`."""
    if document.status is DocumentStatus.DELETED:
        raise ApiError("result_deleted", "The result of this file was deleted; it is not read again")
    if document.error is not None:
        raise error_of_failure(document.error)
    return document


def error_without_document(row: ListedResult | None, user_id: str, retry_after_seconds: int) -> ApiError:
    """Why there is nothing to show of a result that has no document: not yet, not this time, or not at all."""
    if row is None or row.user_id != user_id:
        return no_such_result()
    if row.status is ResultStatus.PENDING:
        headers = {"Retry-After": str(retry_after_seconds)}
        return ApiError("file_not_found", "This result is still pending; ask again in some seconds", headers)
    if row.status is ResultStatus.REFUSED and row.reason:
        return ApiError("file_not_found", f"There is no result: it was refused ({row.code}). {row.reason}")
    return no_such_result()


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
        return _no_tokens("there is no account yet, so your balance is 0")
    if verdict is Verdict.NO_BALANCE:
        return _no_tokens(f"your balance is {balance}")
    return ApiError(
        "unavailable",
        "Balances cannot be checked right now; try again later",
        {"Retry-After": str(retry_after_seconds)},
    )


def _no_tokens(why: str) -> ApiError:
    kept = "The uploaded file is kept and is read by itself after a top-up; do not upload it again"
    return ApiError("insufficient_tokens", f"Insufficient tokens: {why}. {kept}")


def state_of_document(document: Document) -> CompletedResult | UnfinishedResult:
    """A result as `GET` shows it, from its document."""
    if document.status is DocumentStatus.COMPLETED:
        return CompletedResult(**result_of_document(document).model_dump())
    failed = document.status is DocumentStatus.FAILED and document.error is not None
    return UnfinishedResult(
        id=document.result_id,
        status="failed" if failed else "deleted",
        key=document.key,
        created_at=document.created_at,
        deleted_at=document.deleted_at,
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
        deleted_at=row.deleted_at,
        code=row.code,
        reason=row.reason,
    )


def item_of_row(row: ListedResult) -> ResultItem:
    """A result as the list shows it."""
    return ResultItem(
        id=row.id,
        status=row.status.value,
        key=row.key,
        requested_at=row.requested_at,
        created_at=row.finished_at or row.requested_at,
        deleted_at=row.deleted_at,
        code=row.code,
        reason=row.reason,
        file_url=row.file_url,
        language=row.language,
        word_count=row.word_count,
        page_count=row.page_count,
        tokens_used=row.tokens_used,
    )
