"""A transaction that nobody ends, on the real broker: doctor says where it begins until somebody ends it."""

import re
import time

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.topics import RESULTS
from services.doctor.findings import Finding
from services.doctor.hanging import check_open_transactions
from services.runtime.kafka import common_config, create_producer, topic_name
from services.runtime.open_transactions import find_open
from services.runtime.provisioning import provision_topics
from services.runtime.settings import KafkaSettings
from tests.support.parts import KafkaPart
from tests.support.stage import wait_for

pytestmark = pytest.mark.needs_real("kafka")

_PARTITION = 1
_ID = "ocr-extractor-that-was-killed"
_AGE_SECONDS = 600


@pytest.fixture
def settings(kafka: KafkaPart, topic_prefix: str) -> KafkaSettings:
    made = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, topic_prefix=topic_prefix, partitions=2)
    provision_topics(made)
    return made


def _leave_open(settings: KafkaSettings) -> int:
    """Publishes one record, and a second whose transaction outlives its producer; returns the second's offset."""
    long = settings.model_copy(update={"transaction_timeout_ms": 10 * 60 * 1000})
    producer = create_producer(long, linger_ms=0, transactional_id=_ID)
    producer.init_transactions(30)
    offsets = []
    for _ in range(2):
        producer.begin_transaction()
        producer.produce(
            topic_name(settings, RESULTS),
            b"{}",
            partition=_PARTITION,
            timestamp=int((time.time() - _AGE_SECONDS) * 1000),
            on_delivery=lambda _, message: offsets.append(int(message.offset() or 0)),
        )
        assert producer.flush(30) == 0
        if len(offsets) == 1:
            producer.commit_transaction(30)
    return offsets[1]


def _end(settings: KafkaSettings) -> None:
    """Whoever takes up a transactional id ends what was open under it."""
    create_producer(settings, linger_ms=0, transactional_id=_ID).init_transactions(30)


def _open_anywhere(settings: KafkaSettings) -> bool:
    admin = AdminClient(common_config(settings))
    topic = topic_name(settings, RESULTS)
    return bool(find_open(admin, [TopicPartition(topic, _PARTITION)], 30))


def _only(settings: KafkaSettings, *, later_seconds: float = 0) -> Finding:
    (finding,) = check_open_transactions(settings, now=lambda: time.time() + later_seconds)
    return finding


def test_a_transaction_that_nobody_ends_is_told_with_its_place_and_command_until_it_is_ended(
    settings: KafkaSettings,
) -> None:
    assert _only(settings).level == "ok"
    offset = _leave_open(settings)
    topic = topic_name(settings, RESULTS)
    found = _only(settings)
    assert found.level == "fail"
    place = re.escape(f"{topic}[{_PARTITION}]")
    assert re.match(rf"{place} has a transaction open at offset {offset}, begun 6\d\d s ago", found.what), found.what
    assert found.advice is not None
    assert f"abort --topic {topic} --partition {_PARTITION} --start-offset {offset}" in found.advice
    _end(settings)
    wait_for(lambda: not _open_anywhere(settings), "the marker of its end")
    assert _only(settings).level == "ok"


def test_a_transaction_that_its_producer_may_still_end_is_nothing_to_tell(settings: KafkaSettings) -> None:
    _leave_open(settings)
    assert _open_anywhere(settings)
    # Seen from half a minute after its record: within its timeout and the time that a broker takes to end it.
    assert _only(settings, later_seconds=30 - _AGE_SECONDS).level == "ok"
