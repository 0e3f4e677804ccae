"""An extractor that reads nothing: an uploaded object says itself what its result is to be.

It keeps the rules that the API relies on: the document is created before its event is published, and a request
for a document that exists is dropped.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from schemas.cloudevents import decode_as
from schemas.document import Document, DocumentStatus
from schemas.events import Author, ErrorCode, Event, Failure, OcrRequest, Price, ResultRefused, UsageRecorded
from schemas.identity import document_key
from schemas.topics import REQUESTS, RESULTS, UPLOADS
from services.runtime.documents import DocumentStore
from services.runtime.errors import BrokerUnavailable
from services.runtime.kafka import consumer_config, create_consumer, create_producer, topic_name
from services.runtime.object_store import ObjectStore, PreconditionFailed, create_client
from services.runtime.producing import EventProducer
from services.runtime.settings import KafkaSettings, ObjectStoreSettings
from tests.unit.api.fakes import page

FILE_URL_BASE = "https://files.example.com/"


def completing(text: str, delay_seconds: float = 0.0) -> bytes:
    """An object whose result is this text."""
    return json.dumps({"text": text, "delaySeconds": delay_seconds, "salt": str(uuid.uuid4())}).encode()


def failing(code: ErrorCode, reason: str, delay_seconds: float = 0.0) -> bytes:
    """An object that cannot be read."""
    return json.dumps({"fail": code.value, "reason": reason, "delaySeconds": delay_seconds}).encode()


def refusing(code: ErrorCode, reason: str) -> bytes:
    """An object whose request is refused."""
    return json.dumps({"refuse": code.value, "reason": reason}).encode()


class FakeExtractor:
    """Answers requests of both lanes, each in a thread of its own so that a delay holds up nobody else."""

    def __init__(self, kafka: KafkaSettings, object_store: ObjectStoreSettings) -> None:
        self._kafka = kafka
        self._settings = object_store
        self._store = ObjectStore(create_client(object_store))
        self._documents = DocumentStore(self._store, object_store.results_bucket)
        self._producer = EventProducer(create_producer(kafka, linger_ms=0), kafka, source="fake-extractor")
        self.requests: Counter[tuple[str, str]] = Counter()
        """Requests seen, by topic (without prefix) and result id."""
        self.correlation_ids: dict[str, str] = {}
        """Of the last request, by result id."""
        self.traceparents: dict[str, str] = {}
        """The same."""
        self.publishing = threading.Event()
        """While cleared, documents are created but no event is published: an extractor killed in between."""
        self.publishing.set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stops answering."""
        self._stopping.set()
        self._thread.join(10)
        self._producer.close()

    def publish(self, event: Event, result_id: str) -> None:
        """Publishes one result event."""
        self._producer.send(RESULTS, result_id, event, subject=result_id, correlation_id=result_id).result(10)

    def _run(self) -> None:
        config = consumer_config(self._kafka, group="fake-extractor", offset_reset="earliest")
        consumer = create_consumer(config)
        lanes = {topic_name(self._kafka, lane): lane.name for lane in (REQUESTS, UPLOADS)}
        partitions = [
            TopicPartition(name, number, OFFSET_BEGINNING)
            for name in lanes
            for number in consumer.list_topics(name, timeout=10).topics[name].partitions
        ]
        consumer.assign(partitions)
        while not self._stopping.is_set():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                request = decode_as(OcrRequest, message.headers(), message.value())
                self.requests[lanes[str(message.topic())], request.result_id] += 1
                self.correlation_ids[request.result_id] = _header(message, "correlation-id")
                self.traceparents[request.result_id] = _header(message, "traceparent")
                threading.Thread(target=self._answer, args=(request, message), daemon=True).start()
        consumer.close()

    def _answer(self, request: OcrRequest, message: Message) -> None:
        found = self._store.read(request.bucket, request.key)
        assert found is not None
        wanted = json.loads(found[0])
        time.sleep(wanted.get("delaySeconds", 0.0))
        if "refuse" in wanted:
            self.publish(_refusal(request, wanted), request.result_id)
            return
        document = _document(request, message, wanted)
        try:
            self._documents.create(document)
        except PreconditionFailed:
            return
        key = document_key(request.user_id, request.result_id)
        event = document.to_event(self._documents.bucket, key)
        if event is not None and self.publishing.is_set():
            # A test that stops the broker meets delayed answers of the tests before it: their documents remain.
            with contextlib.suppress(TimeoutError, BrokerUnavailable):
                self.publish(event, request.result_id)


def _refusal(request: OcrRequest, wanted: dict[str, Any]) -> ResultRefused:
    return ResultRefused(
        result_id=request.result_id,
        user_id=request.user_id,
        bucket=request.bucket,
        key=request.key,
        etag=request.etag,
        refused_at=datetime.now(UTC),
        requested_at=request.requested_at,
        error=Failure(code=ErrorCode(wanted["refuse"]), reason=wanted["reason"]),
    )


def _document(request: OcrRequest, message: Message, wanted: dict[str, Any]) -> Document:
    now = datetime.now(UTC)
    failed = "fail" in wanted
    words = 0 if failed else len(wanted["text"].split())
    event_id = _header(message, "ce_id")
    usage = UsageRecorded(
        usage_id=event_id if failed else request.result_id,
        result_id=request.result_id,
        user_id=request.user_id,
        key=request.key,
        outcome="failed" if failed else "completed",
        page_units=0 if failed else 1,
        words=words,
        tokens=0 if failed else 50 + words,
        price=Price(version="test", tokens_per_page_unit=50, tokens_per_word=1),
        occurred_at=now,
    )
    return Document(
        result_id=request.result_id,
        user_id=request.user_id,
        bucket=request.bucket,
        key=request.key,
        etag=request.etag,
        status=DocumentStatus.FAILED if failed else DocumentStatus.COMPLETED,
        author=Author(
            event_id=event_id,
            topic=str(message.topic()),
            partition=int(message.partition() or 0),
            offset=int(message.offset() or 0),
        ),
        created_at=now,
        usage=usage,
        file_url=FILE_URL_BASE + request.key,
        text=None if failed else wanted["text"],
        language=None if failed else "en",
        word_count=None if failed else words,
        pages=() if failed else (page(*wanted["text"].split()),),
        error=Failure(code=ErrorCode(wanted["fail"]), reason=wanted["reason"]) if failed else None,
    )


def _header(message: Message, name: str) -> str:
    value = dict(message.headers() or []).get(name)
    return value.decode() if isinstance(value, bytes) else str(value or "")
