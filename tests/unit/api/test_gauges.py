"""What the API tells Prometheus of the broker."""

from prometheus_client import REGISTRY

from services.api.gauges import tell
from services.api.topic_lag import BrokerFigures, PartitionLag, TopicLag
from services.runtime.open_transactions import OpenTransaction, Standing


def test_dead_letters_that_are_gone_become_zero() -> None:
    lag = (TopicLag("g.topic", "g.group", (PartitionLag(0, 4), PartitionLag(1, 0))),)
    known = tell(BrokerFigures(lag, {"g.topic": 2}), {})
    labels = {"group": "g.group", "topic": "g.topic", "partition": "0"}
    assert REGISTRY.get_sample_value("ocr_consumer_group_lag_records", labels) == 4
    assert REGISTRY.get_sample_value("ocr_dead_letter_records", {"topic": "g.topic"}) == 2
    tell(BrokerFigures(lag, {}), known)
    assert REGISTRY.get_sample_value("ocr_dead_letter_records", {"topic": "g.topic"}) == 0


def test_a_transaction_that_stays_open_is_told_and_is_zero_once_it_is_over() -> None:
    labels = {"topic": "g.results", "partition": "3"}
    standing = Standing()
    told = []
    for opened, now in (
        ([OpenTransaction("g.results", 3, 7)], 100.0),
        ([OpenTransaction("g.results", 3, 7)], 160.0),
        ([OpenTransaction("g.results", 3, 9)], 170.0),
        ([], 180.0),
    ):
        tell(BrokerFigures((), {}, standing.seconds(opened, now)), {})
        told.append(REGISTRY.get_sample_value("ocr_open_transaction_age_seconds", labels))
    assert told == [0, 60, 0, 0]
