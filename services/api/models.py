"""The bodies of requests and answers about results, as OpenAPI shows them."""

from typing import Literal

from pydantic import Field, StrictStr

from schemas.base import Timestamp, WireModel
from schemas.document import Document
from schemas.events import ResultCompleted
from services.api.examples import EXAMPLE_ID, EXAMPLE_KEY, EXAMPLE_RESULT, example_config


class ProcessRequest(WireModel):
    """Which uploaded file to read."""

    model_config = example_config({"key": EXAMPLE_KEY})

    key: StrictStr = Field(description="The S3 key of the uploaded image file: `ocr/<user_id>/<filename.ext>`.")


class OcrResult(WireModel):
    """The text of a file and what it cost."""

    model_config = example_config(EXAMPLE_RESULT)

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

    model_config = example_config({"id": EXAMPLE_ID, "status": "pending"})

    id: str
    status: Literal["pending"] = "pending"


class CompletedResult(OcrResult):
    """A result that is there."""

    model_config = example_config(EXAMPLE_RESULT | {"status": "completed"})

    status: Literal["completed"] = "completed"


class UnfinishedResult(WireModel):
    """A result without text: not yet, not this time, never, or no longer."""

    model_config = example_config(
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
    created_at: Timestamp = Field(description="When it was read, failed or was refused; else requested.")
    deleted_at: Timestamp | None = Field(default=None, description="When it was deleted.")
    code: str | None = Field(default=None, description="Why it failed or was refused; stable.")
    reason: str | None = Field(default=None, description="The same as a sentence a person can act on.")


class ResultItem(WireModel):
    """A result as the list shows it; what is not known of it, or does not apply, is null."""

    id: str
    status: Literal["pending", "completed", "failed", "refused", "deleted"]
    key: str
    requested_at: Timestamp = Field(description="What the list is sorted by.")
    created_at: Timestamp = Field(description="When it was completed, failed or was refused; else requested.")
    deleted_at: Timestamp | None = Field(default=None, description="When it was deleted.")
    file_url: str | None = None
    language: str | None = None
    word_count: int | None = None
    page_count: int | None = None
    tokens_used: int | None = None
    code: str | None = Field(default=None, description="Why it failed or was refused; stable.")
    reason: str | None = Field(default=None, description="The same as a sentence a person can act on.")


class ResultList(WireModel):
    """A page of results, newest first."""

    model_config = example_config(
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


class Health(WireModel):
    """How the process does."""

    model_config = example_config({"status": "ok"})

    status: Literal["ok"] = "ok"
