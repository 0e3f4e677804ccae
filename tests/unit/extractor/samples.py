"""Requests and documents for the tests of the extractor."""

from datetime import UTC, datetime
from pathlib import Path

from schemas.cloudevents import Attributes
from schemas.document import Document
from schemas.events import Author, OcrRequest, Origin, Price
from schemas.identity import result_id
from services.extractor import drafting
from services.extractor.jobs import Job
from services.extractor.lanes import Lane
from services.extractor.trail import Trail

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
PRICE = Price(version="test", tokens_per_page_unit=50, tokens_per_word=1)
BUCKET = "uploads"


def request(user: str = "alice", name: str = "a.png", etag: str = "e1", **changes: object) -> OcrRequest:
    """A request as the API makes it."""
    key = f"ocr/{user}/{name}"
    values: dict[str, object] = {
        "result_id": result_id(BUCKET, key, etag),
        "user_id": user,
        "bucket": BUCKET,
        "key": key,
        "etag": etag,
        "origin": Origin.API,
        "requested_at": NOW,
    }
    return OcrRequest.model_validate(values | changes)


def author(offset: int = 0, event_id: str = "event-1", topic: str = "ocr.requests", partition: int = 0) -> Author:
    """The record at an offset."""
    return Author(event_id=event_id, topic=topic, partition=partition, offset=offset)


def attributes(event_id: str = "event-1") -> Attributes:
    """The context of a request."""
    return Attributes(
        id=event_id, type="ocr.request.v1", source="/test", subject="a", time=NOW, traceparent="00-ab-cd-01"
    )


def job(number: int = 1, lane: Lane = Lane.WAITING) -> Job:
    """An open record."""
    return Job(number, lane, request(), author(), Path("/nowhere") / str(number), Trail("ocr.requests", attributes()))


def page(number: int = 1, page_units: int = 1) -> dict[str, object]:
    """A page layout with one word."""
    word = {"text": "hello", "confidence": 0.9, "box": [0.1, 0.1, 0.2, 0.2]}
    line = {"box": [0.1, 0.1, 0.2, 0.2], "words": [word]}
    return {
        "number": number,
        "width": 100,
        "height": 100,
        "orientation": 0,
        "skewDegrees": 0.0,
        "pageUnits": page_units,
        "blocks": [{"box": [0.1, 0.1, 0.2, 0.2], "lines": [line]}],
    }


def draft(asked: OcrRequest | None = None, by: Author | None = None, text: str = "hello") -> Document:
    """A document of one page."""
    return drafting.completed(
        asked or request(),
        by or author(),
        PRICE,
        pages=[page()],
        text=text,
        language="en",
        words=len(text.split()),
        media_type="image/png",
        engine="onnx",
        model_version="1",
        url="https://files.example/a.png",
        at=NOW,
    )
