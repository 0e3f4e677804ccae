"""Topics and first offsets, against a real broker."""

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.topics import REQUESTS, TOPICS
from services.runtime import groups
from services.runtime.kafka import common_config, consumer_config, create_consumer, create_producer, topic_name
from services.runtime.lane_offsets import skip_to_end
from services.runtime.provisioning import provision_topics
from services.runtime.settings import KafkaSettings
from tests.support.parts import KafkaPart


def _settings(kafka: KafkaPart, topic_prefix: str, partitions: int = 2) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, topic_prefix=topic_prefix, partitions=partitions)


def _committed(settings: KafkaSettings, partitions: int) -> list[int]:
    consumer = create_consumer(consumer_config(settings, group=groups.EXTRACTOR, offset_reset="error"))
    try:
        name = topic_name(settings, REQUESTS)
        asked = [TopicPartition(name, number) for number in range(partitions)]
        return [found.offset for found in consumer.committed(asked, timeout=10)]
    finally:
        consumer.close()


def _write(settings: KafkaSettings, records: int) -> None:
    producer = create_producer(settings, linger_ms=0)
    for number in range(records):
        producer.produce(topic_name(settings, REQUESTS), value=b"x", partition=number % 2)
    assert producer.flush(10) == 0


def test_every_topic_is_there_with_its_dead_letters_and_a_second_time_nothing_is_new(
    kafka: KafkaPart, topic_prefix: str
) -> None:
    settings = _settings(kafka, topic_prefix)
    created = provision_topics(settings)
    assert set(created) == {topic_prefix + name for topic in TOPICS for name in (topic.name, topic.dead_letters)}
    assert provision_topics(settings) == []
    existing = AdminClient(common_config(settings)).list_topics(timeout=10).topics
    counts = {topic.name: len(existing[topic_prefix + topic.name].partitions) for topic in TOPICS}
    assert counts == {topic.name: 1 if topic.partitions == 1 else 2 for topic in TOPICS}


@pytest.mark.needs_real("kafka")
def test_new_partitions_of_a_lane_begin_at_zero(kafka: KafkaPart, topic_prefix: str) -> None:
    provision_topics(_settings(kafka, topic_prefix))
    assert _committed(_settings(kafka, topic_prefix), 2) == [0, 0]
    grown = _settings(kafka, topic_prefix, partitions=4)
    provision_topics(grown)
    assert _committed(grown, 4) == [0, 0, 0, 0]


def test_provisioning_again_does_not_touch_what_was_worked_on(kafka: KafkaPart, topic_prefix: str) -> None:
    settings = _settings(kafka, topic_prefix)
    provision_topics(settings)
    _write(settings, 6)
    consumer = create_consumer(consumer_config(settings, group=groups.EXTRACTOR, offset_reset="error"))
    consumer.commit(offsets=[TopicPartition(topic_name(settings, REQUESTS), 0, 3)], asynchronous=False)
    consumer.close()
    provision_topics(settings)
    assert _committed(settings, 2) == [3, 0]


@pytest.mark.needs_real("kafka")
def test_lost_offsets_are_not_guessed_and_skip_to_end_moves_only_them(kafka: KafkaPart, topic_prefix: str) -> None:
    settings = _settings(kafka, topic_prefix)
    provision_topics(settings)
    _write(settings, 6)
    admin = AdminClient(common_config(settings))
    admin.delete_consumer_groups([topic_prefix + groups.EXTRACTOR])[topic_prefix + groups.EXTRACTOR].result(10)
    provision_topics(settings)
    assert all(offset < 0 for offset in _committed(settings, 2))
    moved = skip_to_end(settings)
    assert {(found.partition, found.end) for found in moved if found.topic.endswith(REQUESTS.name)} == {(0, 3), (1, 3)}
    assert _committed(settings, 2) == [3, 3]
    assert skip_to_end(settings) == []
