"""Where the extractor's group stands on its lanes, and how an operator moves it when its history is lost."""

from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicPartition

from schemas.topics import TOPICS
from services.runtime import groups
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Skipped:
    """A partition whose group was moved to its end; `committed` is None where there was no offset."""

    topic: str
    partition: int
    committed: int | None
    end: int


def skip_to_end(settings: KafkaSettings) -> list[Skipped]:
    """Commits the end of every lane's partition that has no valid offset; valid ones stay as they are.

    The extractors have to be stopped: the broker refuses commits from outside to a group with members. What is
    skipped is found again by the reconciler (uploads) and the ledger's sweep (documents without entry).

    Raises:
        KafkaException: the broker refused, as it does while a member of the group lives, or did not answer.
    """
    consumer = create_consumer(consumer_config(settings, group=groups.EXTRACTOR, offset_reset="error"))
    try:
        skipped = []
        for topic in TOPICS:
            if not topic.is_lane:
                continue
            name = topic_name(settings, topic)
            numbers = consumer.list_topics(name, timeout=_TIMEOUT_SECONDS).topics[name].partitions
            asked = [TopicPartition(name, number) for number in numbers]
            for found in consumer.committed(asked, timeout=_TIMEOUT_SECONDS):
                low, end = consumer.get_watermark_offsets(found, timeout=_TIMEOUT_SECONDS)
                if not low <= found.offset <= end:
                    committed = found.offset if found.offset >= 0 else None
                    skipped.append(Skipped(name, found.partition, committed, end))
        if skipped:
            ends = [TopicPartition(found.topic, found.partition, found.end) for found in skipped]
            for moved in consumer.commit(offsets=ends, asynchronous=False) or ():
                if moved.error is not None:
                    raise KafkaException(moved.error)
        return skipped
    finally:
        consumer.close()
