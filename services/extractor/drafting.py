"""From what was read to the document that says so; pure functions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from schemas.document import Document, DocumentStatus, PageLayout
from schemas.events import Author, Failure, OcrRequest, Price
from services.extractor.metering import usage_of_completed, usage_of_failed


def file_url(base: str, key: str) -> str:
    """The object's public URL; `base` ends with a slash."""
    return base + quote(key, safe="/")


def completed(
    request: OcrRequest,
    author: Author,
    price: Price,
    *,
    pages: Sequence[Mapping[str, Any]],
    text: str,
    language: str,
    words: int,
    media_type: str | None,
    engine: str,
    model_version: str,
    url: str,
    at: datetime,
) -> Document:
    """The document of a result that was read; `pages` are page layouts as JSON."""
    layouts = tuple(PageLayout.model_validate(page) for page in pages)
    units = sum(page.page_units for page in layouts)
    return Document(
        result_id=request.result_id,
        user_id=request.user_id,
        bucket=request.bucket,
        key=request.key,
        etag=request.etag,
        status=DocumentStatus.COMPLETED,
        author=author,
        created_at=at,
        usage=usage_of_completed(request, price, page_units=units, words=words, at=at),
        file_url=url,
        text=text,
        language=language,
        word_count=words,
        pages=layouts,
        media_type=media_type,
        engine=engine,
        model_version=model_version,
    )


def failed(request: OcrRequest, author: Author, price: Price, failure: Failure, *, url: str, at: datetime) -> Document:
    """The document of an input that cannot be read."""
    return Document(
        result_id=request.result_id,
        user_id=request.user_id,
        bucket=request.bucket,
        key=request.key,
        etag=request.etag,
        status=DocumentStatus.FAILED,
        author=author,
        created_at=at,
        usage=usage_of_failed(request, price, author, at),
        file_url=url,
        error=failure,
    )
