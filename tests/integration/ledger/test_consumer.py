"""Partitions that move while the ledger holds back."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer

from schemas.topics import USAGE
from services.ledger.consumer import UsageConsumer
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings
from tests.integration.ledger.running import Wire
from tests.support.usage import usage


def _until(holds: Callable[[], bool], go_round: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        go_round()


def test_a_partition_that_was_lost_while_held_back_is_read_when_it_comes_back(
    wire: Wire, kafka_settings: KafkaSettings
) -> None:
    config = consumer_config(kafka_settings, group="moving", offset_reset="earliest")
    topic = topic_name(kafka_settings, USAGE)
    raw, other = create_consumer(config), create_consumer(config)
    consumer, seen = UsageConsumer(raw, topic, lambda _: {}), set[int]()

    def gather() -> None:
        seen.update(int(message.partition() or 0) for message in consumer.gather(100, 0.1))

    def both(of: Consumer = other) -> None:
        consumer.hold(0.05)
        of.poll(0.05)

    consumer.start()
    _until(lambda: len(consumer.owned) == 4, gather, "it owns all partitions")
    consumer.hold(0.05)
    other.subscribe([topic])
    _until(lambda: len(consumer.owned) == 2, both, "it has lost some to the other")
    consumer.release()
    other.close()
    _until(lambda: len(consumer.owned) == 4, gather, "it owns all of them again")
    for number in range(4):
        wire.send([usage(f"usage-{number}")], partition=number)
    _until(lambda: seen == {0, 1, 2, 3}, gather, "every partition is read")
    consumer.close()
