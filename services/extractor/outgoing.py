"""What goes to which topic for each way a record can end."""

from collections.abc import Callable
from datetime import datetime

from schemas.cloudevents import Attributes, encode
from schemas.document import Document
from schemas.events import Event, Failure, OcrRequest, Origin, ResultRefused
from schemas.identity import document_key
from schemas.topics import REQUESTS, RESULTS, UPLOADS, USAGE, Topic, upload_key
from services.runtime.kafka import dead_letters_name, topic_name
from services.runtime.producing import attributes_for
from services.runtime.settings import KafkaSettings
from services.runtime.transactions import Record

_SOURCE = "/ocr-services/extractor"


def written_topics(settings: KafkaSettings) -> list[str]:
    """Names on the broker of all topics that an extractor's transactions write."""
    written = [topic_name(settings, topic) for topic in (RESULTS, USAGE, UPLOADS)]
    return written + [dead_letters_name(settings, topic) for topic in (REQUESTS, UPLOADS)]


class Outgoing:
    """Makes records of outcomes; produces nothing itself."""

    def __init__(self, settings: KafkaSettings, results_bucket: str, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._results_bucket = results_bucket
        self._now = now

    def of_document(self, document: Document, asked: Attributes) -> list[Record]:
        """Result and usage as the document has them; a tombstone has usage alone."""
        where = document_key(document.user_id, document.result_id)
        result = document.to_event(self._results_bucket, where)
        usage = self._record(USAGE, document.user_id, document.usage, document.key, document.result_id, asked)
        if result is None:
            return [usage]
        return [
            self._record(RESULTS, document.result_id, result, document.key, document.result_id, asked),
            usage,
        ]

    def of_refusal(self, request: OcrRequest, failure: Failure, asked: Attributes) -> list[Record]:
        """A refusal, for whoever waits."""
        refused = ResultRefused(
            result_id=request.result_id,
            user_id=request.user_id,
            bucket=request.bucket,
            key=request.key,
            etag=request.etag,
            refused_at=self._now(),
            requested_at=request.requested_at,
            error=failure,
        )
        return [self._record(RESULTS, request.result_id, refused, request.key, request.result_id, asked)]

    def passed_on(self, request: OcrRequest, asked: Attributes) -> list[Record]:
        """The same request on the lane where nobody waits."""
        again = request.model_copy(update={"origin": Origin.PASSED_ON})
        key = upload_key(request.user_id, request.key, self._settings.upload_spread)
        return [self._record(UPLOADS, key, again, request.key, request.result_id, asked)]

    def _record(
        self, topic: Topic, key: str, event: Event, subject: str, correlation_id: str, asked: Attributes
    ) -> Record:
        attributes = attributes_for(
            event,
            source=_SOURCE,
            subject=subject,
            now=self._now(),
            correlation_id=correlation_id,
            traceparent=asked.traceparent,
        )
        headers, body = encode(event, attributes)
        return Record(topic_name(self._settings, topic), key, body, headers)
