"""How much of its topics a consumer group has not finished."""

from collections.abc import Iterable

from confluent_kafka import TopicPartition

from schemas.topics import Topic
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings


def unread_records(settings: KafkaSettings, group: str, topics: Iterable[Topic]) -> int:
    """The records after the group's committed offsets; marks of transactions count, too."""
    consumer = create_consumer(consumer_config(settings, group=group, offset_reset="error"))
    try:
        asked = [
            TopicPartition(topic_name(settings, topic), number)
            for topic in topics
            for number in range(settings.partitions)
        ]
        unread = 0
        for committed in consumer.committed(asked, timeout=10):
            _, high = consumer.get_watermark_offsets(committed, timeout=10)
            unread += high - max(0, committed.offset)
        return unread
    finally:
        consumer.close()
