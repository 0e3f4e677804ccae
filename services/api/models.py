"""The bodies of requests and answers, as OpenAPI shows them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictInt, StrictStr, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from schemas.base import INTEGER_MAX, Timestamp, WireModel
from schemas.document import Document
from schemas.events import ResultCompleted

EXAMPLE_ID = "0b5f2c1e-7f0a-5a53-9c39-5d2f7a6f3c11"
EXAMPLE_KEY = "ocr/user_id/filename.jpg"
EXAMPLE_RESULT: JsonDict = {
    "id": EXAMPLE_ID,
    "text": "Extracted text from the image",
    "key": EXAMPLE_KEY,
    "fileUrl": "https://storage.example.com/bucket-name/ocr/user_id/filename.jpg",
    "createdAt": "2023-06-15T10:30:00.000Z",
    "wordCount": 150,
    "tokensUsed": 200,
    "language": "en",
}


def _example(*examples: JsonDict) -> ConfigDict:
    """Examples for OpenAPI, without nulls: the framework drops them from its document."""
    return ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        frozen=True,
        extra="ignore",
        json_schema_extra={"examples": list(examples)},
    )


class ProcessRequest(WireModel):
    """Which uploaded file to read."""

    model_config = _example({"key": EXAMPLE_KEY})

    key: StrictStr = Field(description="The S3 key of the uploaded image file: `ocr/<user_id>/<filename.ext>`.")


class OcrResult(WireModel):
    """The text of a file and what it cost."""

    model_config = _example(EXAMPLE_RESULT)

    id: str = Field(description="Unique identifier for the OCR result.")
    text: str = Field(description="The extracted text; a form feed stands between pages.")
    key: str = Field(description="The S3 key of the processed file.")
    file_url: str = Field(description="Public URL of the processed file.")
    created_at: Timestamp = Field(description="When the OCR was performed (ISO 8601, UTC).")
    word_count: int = Field(description="Number of words in the extracted text.")
    tokens_used: int = Field(description="Number of tokens consumed by this operation.")
    language: str = Field(description="ISO 639-1 code of the text's language; `und` where there is none to judge by.")


def result_of_document(document: Document) -> OcrResult:
    """The answer that a completed document holds."""
    assert document.text is not None
    assert document.word_count is not None
    assert document.language is not None
    return OcrResult(
        id=document.result_id,
        text=document.text,
        key=document.key,
        file_url=document.file_url,
        created_at=document.created_at,
        word_count=document.word_count,
        tokens_used=document.usage.tokens,
        language=document.language,
    )


def result_of_event(event: ResultCompleted) -> OcrResult | None:
    """The answer that a result event holds; None when its text is in the document alone."""
    if event.text is None:
        return None
    return OcrResult(
        id=event.result_id,
        text=event.text,
        key=event.key,
        file_url=event.file_url,
        created_at=event.created_at,
        word_count=event.word_count,
        tokens_used=event.tokens_used,
        language=event.language,
    )


class AcceptedResult(WireModel):
    """The request is acknowledged; its result will be at the `Location`."""

    model_config = _example({"id": EXAMPLE_ID, "status": "pending"})

    id: str
    status: Literal["pending"] = "pending"


class CompletedResult(OcrResult):
    """A result that is there."""

    model_config = _example(EXAMPLE_RESULT | {"status": "completed"})

    status: Literal["completed"] = "completed"


class UnfinishedResult(WireModel):
    """A result without text: not yet, not this time, never, or no longer."""

    model_config = _example(
        {
            "id": EXAMPLE_ID,
            "status": "failed",
            "key": EXAMPLE_KEY,
            "createdAt": "2023-06-15T10:30:00.000Z",
            "code": "unreadable_document",
            "reason": "The image is truncated",
        }
    )

    id: str
    status: Literal["pending", "failed", "refused", "deleted"]
    key: str
    created_at: Timestamp = Field(description="When it was requested, failed, was refused or deleted.")
    code: str | None = Field(default=None, description="Why it failed or was refused; stable.")
    reason: str | None = Field(default=None, description="The same as a sentence a person can act on.")


class ResultItem(WireModel):
    """A result as the list shows it; what is not known of it, or does not apply, is null."""

    id: str
    status: Literal["pending", "completed", "failed", "refused", "deleted"]
    key: str
    requested_at: Timestamp = Field(description="What the list is sorted by.")
    created_at: Timestamp = Field(description="When it was completed, failed, was refused or deleted; else requested.")
    file_url: str | None = None
    language: str | None = None
    word_count: int | None = None
    page_count: int | None = None
    tokens_used: int | None = None
    code: str | None = Field(default=None, description="Why it failed or was refused; stable.")
    reason: str | None = Field(default=None, description="The same as a sentence a person can act on.")


class ResultList(WireModel):
    """A page of results, newest first."""

    model_config = _example(
        {
            "results": [
                {
                    "id": EXAMPLE_ID,
                    "status": "completed",
                    "key": EXAMPLE_KEY,
                    "requestedAt": "2023-06-15T10:29:58.700Z",
                    "createdAt": "2023-06-15T10:30:00.000Z",
                    "fileUrl": EXAMPLE_RESULT["fileUrl"],
                    "language": "en",
                    "wordCount": 150,
                    "pageCount": 1,
                    "tokensUsed": 200,
                }
            ],
            "nextCursor": "WyIyMDIzLTA2LTE1VDEwOjI5OjU4LjcwMCswMDowMCIsICIwYjVmMmMxZSJd",
        }
    )

    results: tuple[ResultItem, ...]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class UploadRequest(WireModel):
    """The file that is about to be uploaded."""

    model_config = _example({"filename": "receipt.jpg", "contentType": "image/jpeg", "size": 48213})

    filename: Annotated[StrictStr, StringConstraints(min_length=1, max_length=1024)]
    content_type: Annotated[StrictStr, StringConstraints(min_length=1, max_length=255)]
    size: StrictInt = Field(ge=1, le=INTEGER_MAX, description="Bytes.")


class UploadTicket(WireModel):
    """A presigned upload: send the file to `uploadUrl` with this method and these headers."""

    model_config = _example(
        {
            "key": "ocr/user_id/5f0c1a9be27d4c38-receipt.jpg",
            "uploadUrl": "https://storage.example.com/bucket-name/ocr/user_id/5f0c1a9be27d4c38-receipt.jpg?X-Amz-...",
            "method": "PUT",
            "headers": {"Content-Type": "image/jpeg", "Content-Length": "48213"},
            "expiresAt": "2023-06-15T10:45:00.000Z",
            "maxBytes": 50000000,
        }
    )

    key: str
    upload_url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str] = Field(description="Signed: a PUT with others is refused by the store.")
    expires_at: Timestamp
    max_bytes: int = Field(description="The largest file that is read.")


class StoredFile(WireModel):
    """A file that lies in the bucket now, and is read by itself; POST its key to wait for the text."""

    model_config = _example(
        {"key": "ocr/user_id/5f0c1a9be27d4c38-receipt.jpg", "contentType": "image/jpeg", "size": 48213}
    )

    key: str
    content_type: str = Field(description="Judged by the content, whatever was said of it.")
    size: int = Field(description="Bytes.")


class Balance(WireModel):
    """What is left."""

    model_config = _example({"balance": 9800, "asOf": "2023-06-15T10:30:02.000Z"})

    balance: int = Field(description="Tokens; 0 for a user without an account.")
    as_of: Timestamp = Field(description="Usage up to this moment is accounted for.")


class Transaction(WireModel):
    """What one entry of the ledger did to your balance."""

    id: str
    kind: Literal["usage", "grant"]
    amount: int = Field(description="Tokens: below zero what was spent, above it what was granted.")
    posted_at: Timestamp
    reference: str = Field(description="The result's id, for a failed one its request's; of a grant its own key.")
    result_id: str | None = None
    key: str | None = Field(default=None, description="The file that was read.")
    outcome: Literal["completed", "failed"] | None = Field(default=None, description="A failed result costs nothing.")
    page_units: int | None = None
    words: int | None = None
    price_version: str | None = None
    note: str | None = Field(default=None, description="Of a grant.")


class TransactionList(WireModel):
    """A page of transactions, newest first."""

    model_config = _example(
        {
            "transactions": [
                {
                    "id": "7b5df0a2-2c0e-5d65-8a44-0c4c84c9c8f2",
                    "kind": "usage",
                    "amount": -200,
                    "postedAt": "2023-06-15T10:30:00.120Z",
                    "reference": EXAMPLE_ID,
                    "resultId": EXAMPLE_ID,
                    "key": EXAMPLE_KEY,
                    "outcome": "completed",
                    "pageUnits": 1,
                    "words": 150,
                    "priceVersion": "2026-11",
                }
            ],
            "nextCursor": "WzQxXQ",
        }
    )

    transactions: tuple[Transaction, ...]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class Health(WireModel):
    """How the process does."""

    model_config = _example({"status": "ok"})

    status: Literal["ok"] = "ok"
