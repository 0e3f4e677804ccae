"""Where a partition ends on a broker that tells it wrongly to who asks, and rightly to who reads."""

from confluent_kafka import Consumer, TopicPartition

from services.runtime.errors import BrokerUnavailable


def end_by_fetch(consumer: Consumer, topic: str, partition: int, offset: int, timeout_seconds: float) -> int:
    """The end of a partition as it is told with its records, read from `offset` on.

    The embedded broker under-reports it otherwise. The consumer has `enable.partition.eof`, so that an empty
    partition answers too, and nothing assigned; so it is afterwards.

    Raises:
        BrokerUnavailable: nothing was heard within `timeout_seconds`.
        KafkaException: the broker refused.
    """
    consumer.assign([TopicPartition(topic, partition, offset)])
    try:
        if consumer.poll(timeout_seconds) is None:
            raise BrokerUnavailable(f"nothing was heard of partition {partition} of {topic}")
        return int(consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)[1])
    finally:
        consumer.unassign()
