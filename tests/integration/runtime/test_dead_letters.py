"""Dead letters are kept, or their offset does not move."""

import secrets

import pytest
from confluent_kafka import Message

from services.runtime.dead_letters import DeadLetters
from services.runtime.errors import BrokerUnavailable, Halt
from services.runtime.kafka import consumer_config, create_consumer, create_producer
from services.runtime.settings import KafkaSettings
from tests.support.parts import KafkaPart
from tests.support.topics import create_topics


@pytest.fixture
def settings(kafka: KafkaPart) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)


def _record(settings: KafkaSettings, topic: str, value: bytes) -> Message:
    producer = create_producer(settings, linger_ms=0)
    producer.produce(topic, value)
    assert producer.flush(20) == 0
    consumer = create_consumer(consumer_config(settings, group=f"{topic}-test", offset_reset="earliest"))
    consumer.subscribe([topic])
    found = consumer.consume(1, 30)
    consumer.close()
    assert found, "the record"
    return found[0]


def test_a_dead_letter_that_the_broker_rejects_is_told(
    kafka: KafkaPart, settings: KafkaSettings, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}in"
    create_topics(kafka.bootstrap_servers, {topic: 1})
    create_topics(kafka.bootstrap_servers, {f"{topic}.dlq": 1}, {"max.message.bytes": "1000"})
    letters = DeadLetters(create_producer(settings, linger_ms=0))
    letters.add(_record(settings, topic, secrets.token_bytes(5000)), "too large for its dead letters")
    with pytest.raises(BrokerUnavailable, match="rejected"):
        letters.keep(20)
    letters.keep(20)


def test_a_run_of_dead_letters_halts_and_one_good_record_ends_the_run(
    kafka: KafkaPart, settings: KafkaSettings, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}in"
    create_topics(kafka.bootstrap_servers, {topic: 1, f"{topic}.dlq": 1})
    letters = DeadLetters(create_producer(settings, linger_ms=0), consecutive_max=3)
    record = _record(settings, topic, b"x")
    for _ in range(2):
        letters.add(record, "bad")
    letters.decoded()
    for _ in range(2):
        letters.add(record, "bad")
    with pytest.raises(Halt, match="3 undecodable records in a row"):
        letters.add(record, "bad")
    letters.keep(20)
