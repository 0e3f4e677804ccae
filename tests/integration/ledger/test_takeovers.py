"""The sweep against a real broker and a real store."""

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from sqlalchemy import Engine

from schemas.document import Document, DocumentStatus
from schemas.events import Author, OcrRequest, Origin
from schemas.identity import result_id
from schemas.topics import REQUESTS, UPLOADS
from services.ledger.__main__ import wire as wire_ledger
from services.ledger.lane_offsets import LaneOffsets, Place
from services.ledger.settings import LedgerSettings
from services.ledger.unposted import unposted
from services.runtime import groups
from services.runtime.documents import DocumentStore
from services.runtime.kafka import common_config, consumer_config, create_consumer, topic_name
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.provisioning import ensure_bucket
from services.runtime.settings import KafkaSettings, ObjectStoreSettings
from tests.integration.ledger.running import Wire, eventually, in_background
from tests.support.parts import ObjectStorePart
from tests.support.usage import NOON, usage


def _commit(kafka: KafkaSettings, topic: str, offset: int) -> None:
    """As the extractor does for finished records."""
    consumer = create_consumer(consumer_config(kafka, group=groups.EXTRACTOR, offset_reset="error"))
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


@pytest.mark.needs_real("kafka")
def test_a_request_is_done_with_when_the_group_is_past_it_or_it_is_gone(
    wire: Wire, kafka_settings: KafkaSettings
) -> None:
    topic, lanes = topic_name(kafka_settings, UPLOADS), LaneOffsets(kafka_settings)
    for number in range(5):
        wire.send_raw(str(number).encode(), [], UPLOADS, partition=0)
    wire.flush()
    places = [Place(topic, 0, offset) for offset in range(8)]
    assert lanes.done(places) == set(places[5:]), "what lies beyond the end was of another topic of that name"
    _commit(kafka_settings, topic, 2)
    assert lanes.done(places) == {*places[:2], *places[5:]}
    expired = TopicPartition(topic, 0, 4)
    admin = AdminClient(common_config(kafka_settings))
    admin.delete_records([expired])[expired].result(20)
    assert lanes.done(places) == {*places[:4], *places[5:]}


def test_a_request_on_a_topic_or_partition_that_does_not_exist_is_gone(
    wire: Wire, kafka_settings: KafkaSettings
) -> None:
    gone = [Place(topic_name(kafka_settings, REQUESTS) + "-gone", 0, 3), Place(topic_name(wire.kafka, UPLOADS), 99, 3)]
    assert LaneOffsets(kafka_settings).done(gone) == set(gone)


@pytest.fixture
def store_settings(object_store: ObjectStorePart, bucket_prefix: str) -> ObjectStoreSettings:
    """The store, with a results bucket of this test's own."""
    settings = ObjectStoreSettings(
        endpoint_url=object_store.endpoint_url,
        region=object_store.region,
        access_key=SecretStr(object_store.access_key),
        secret_key=SecretStr(object_store.secret_key),
        results_bucket=f"{bucket_prefix}results",
    )
    ensure_bucket(ObjectStore(create_client(settings)), settings.results_bucket)
    return settings


@pytest.mark.parametrize("deleted", [False, True], ids=["as read", "deleted"])
def test_a_document_whose_author_never_returns_is_taken_over(
    wire: Wire,
    kafka_settings: KafkaSettings,
    store_settings: ObjectStoreSettings,
    postgres_engine: Engine,
    deleted: bool,
) -> None:
    identity = result_id("uploads", "ocr/alice/a.png", "e1")
    author = Author(event_id="event-1", topic=topic_name(kafka_settings, UPLOADS), partition=0, offset=3)
    document = Document(
        result_id=identity,
        user_id="alice",
        bucket="uploads",
        key="ocr/alice/a.png",
        etag="e1",
        status=DocumentStatus.COMPLETED,
        author=author,
        created_at=NOON,
        usage=usage(identity, key="ocr/alice/a.png"),
        file_url="http://files/a.png",
        text="a",
        language="en",
        word_count=1,
    )
    documents = DocumentStore(ObjectStore(create_client(store_settings)), store_settings.results_bucket)
    # Deleted or not, it was read, and is charged.
    document = document.tombstone(NOON) if deleted else document
    documents.create(document)
    settings = LedgerSettings(
        heartbeat_seconds=0.2, sweep_grace_seconds=0, sweep_cycle_seconds=0.5, outbox_poll_seconds=0.1
    )
    ledger = wire_ledger(kafka_settings, settings, store_settings, postgres_engine)
    with in_background(ledger.run):
        eventually(lambda: wire.events(UPLOADS) != [], 40)
        request = wire.events(UPLOADS)[0]
        assert isinstance(request, OcrRequest)
        assert (request.origin, request.takeover_of, request.result_id) == (Origin.TAKEOVER, author, identity)
        # The extractor's part: the record becomes author, and its usage arrives.
        taker = author.model_copy(update={"event_id": "event-2", "partition": 1, "offset": 0})
        found = documents.read("alice", identity)
        assert found is not None
        documents.replace(document.model_copy(update={"author": taker}), found.etag)
        wire.send([document.usage])
        eventually(lambda: not unposted(postgres_engine, [identity]))
    assert len(wire.events(UPLOADS)) == 1
