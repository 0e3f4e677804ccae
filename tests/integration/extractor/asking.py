"""Asking the extractor under test, and what came of it."""

import time
import uuid
from collections import Counter
from collections.abc import Iterator

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from schemas.cloudevents import decode
from schemas.events import Author, Event, OcrRequest, ResultCompleted, ResultFailed, ResultRefused, UsageRecorded
from schemas.topics import REQUESTS, RESULTS, UPLOADS, USAGE
from services.runtime import groups
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from tests.support.stage import Stage, Topics, wait_for

EXTRACTOR = "tests.support.scripted_engine"


def uploaded(stage: Stage, name: str, body: bytes, user: str = "alice") -> OcrRequest:
    """Puts an object, and makes the request for it."""
    key = f"ocr/{user}/{name}"
    return stage.request(key, stage.upload(key, body))


def results(stage: Stage) -> list[ResultCompleted | ResultFailed | ResultRefused]:
    """What was published of results so far."""
    return [
        *stage.read.events(ResultCompleted),
        *stage.read.events(ResultFailed),
        *stage.read.events(ResultRefused),
    ]


def await_results(stage: Stage, count: int, seconds_max: float = 60.0) -> None:
    """Waits until so many results were published."""
    wait_for(lambda: len(results(stage)) >= count, f"{count} results", seconds_max)


def committed(stage: Stage) -> int:
    """How many records of the lanes the extractors have finished."""
    consumer = create_consumer(consumer_config(stage.kafka, group=groups.EXTRACTOR, offset_reset="error"))
    try:
        asked = [
            TopicPartition(topic_name(stage.kafka, topic), number)
            for topic in (REQUESTS, UPLOADS)
            for number in range(stage.kafka.partitions)
        ]
        return sum(max(0, found.offset) for found in consumer.committed(asked, timeout=10))
    finally:
        consumer.close()


def author_of(stage: Stage, request: OcrRequest) -> Author:
    """The record that asked for this."""
    reader = Topics(stage.kafka, (REQUESTS,))
    reader.start()
    try:
        wait_for(lambda: reader.events(OcrRequest) != [], "the request on its topic")
        (message,) = reader.messages
    finally:
        reader.close()
    decoded = decode(message.headers(), message.value())
    assert isinstance(decoded.data, OcrRequest)
    assert decoded.data.result_id == request.result_id
    return Author(
        event_id=decoded.attributes.id,
        topic=str(message.topic()),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
    )


def published(stage: Stage) -> list[Event]:
    """All results and usage, read to where their topics end now: what is not among it was not published."""
    config = consumer_config(stage.kafka, group=f"published-{uuid.uuid4()}", offset_reset="earliest")
    consumer = create_consumer(config | {"enable.partition.eof": True})
    try:
        names = [topic_name(stage.kafka, topic) for topic in (RESULTS, USAGE)]
        places = [TopicPartition(name, n, OFFSET_BEGINNING) for name in names for n in range(stage.kafka.partitions)]
        ends = {(each.topic, each.partition): consumer.get_watermark_offsets(each, timeout=30)[1] for each in places}
        consumer.assign(places)
        return list(_read_to(consumer, ends))
    finally:
        consumer.close()


def assert_published_once(stage: Stage, count: int) -> None:
    """So many results are there, each of them once, and as many entries of usage."""
    events = published(stage)
    ids = Counter(each.result_id for each in events if isinstance(each, ResultCompleted | ResultFailed))
    usage = Counter(each.usage_id for each in events if isinstance(each, UsageRecorded))
    assert (len(ids), set(ids.values())) == (count, {1}), ids
    assert (len(usage), set(usage.values())) == (count, {1}), usage


def _read_to(consumer: Consumer, ends: dict[tuple[str, int], int]) -> Iterator[Event]:
    deadline = time.monotonic() + 60
    pending = {place for place, end in ends.items() if end > 0}
    while pending:
        assert time.monotonic() < deadline, f"not read to their ends: {pending}"
        message = consumer.poll(0.1)
        if message is None:
            continue
        error, place = message.error(), (str(message.topic()), int(message.partition() or 0))
        if error is None:
            yield decode(message.headers(), message.value()).data
        elif error.code() == KafkaError._PARTITION_EOF and int(message.offset() or 0) >= ends[place]:
            pending.discard(place)
