"""What the API tells Prometheus of the broker."""

from prometheus_client import REGISTRY

from services.api.gauges import tell
from services.api.topic_lag import BrokerFigures, PartitionLag, TopicLag


def test_dead_letters_that_are_gone_become_zero() -> None:
    lag = (TopicLag("g.topic", "g.group", (PartitionLag(0, 4), PartitionLag(1, 0))),)
    known = tell(BrokerFigures(lag, {"g.topic": 2}), {})
    labels = {"group": "g.group", "topic": "g.topic", "partition": "0"}
    assert REGISTRY.get_sample_value("ocr_consumer_group_lag_records", labels) == 4
    assert REGISTRY.get_sample_value("ocr_dead_letter_records", {"topic": "g.topic"}) == 2
    tell(BrokerFigures(lag, {}), known)
    assert REGISTRY.get_sample_value("ocr_dead_letter_records", {"topic": "g.topic"}) == 0
