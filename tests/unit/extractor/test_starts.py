"""Documents that take the whole parent along are counted where a restart finds them."""

from typing import cast

import pytest
from confluent_kafka import Consumer, TopicPartition

from services.extractor.starts import StartCounter, Starts, parse_metadata

PARTITION = ("ocr.uploads", 3)


class CommittedOffsets:
    """What a group's offsets look like to its consumer."""

    def __init__(self, offset: int) -> None:
        self.position = TopicPartition(*PARTITION, offset)

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:  # noqa: ARG002
        return [self.position]

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert not asynchronous, "a start that is not durable before the work begins counts nothing"
        self.position = offsets[0]


def _counter(offsets: CommittedOffsets) -> StartCounter:
    """The counter of a parent that was just assigned the partition."""
    counter = StartCounter(lambda: cast(Consumer, offsets))
    counter.assigned(PARTITION)
    return counter


def test_the_second_start_of_a_record_makes_it_a_suspect() -> None:
    offsets = CommittedOffsets(7)
    assert not _counter(offsets).begin(PARTITION, 7).suspect
    assert _counter(offsets).begin(PARTITION, 7).suspect


def test_only_starts_alone_count_against_a_record() -> None:
    offsets = CommittedOffsets(7)
    for _ in range(5):
        before = _counter(offsets).begin(PARTITION, 7)
    assert before.begun == 4
    assert before.alone == 0


def test_three_starts_alone_are_seen_by_the_fourth() -> None:
    offsets = CommittedOffsets(7)
    _counter(offsets).begin(PARTITION, 7)
    for expected in (0, 1, 2):
        counter = _counter(offsets)
        counter.begin(PARTITION, 7)
        assert counter.alone(PARTITION) == expected
    assert _counter(offsets).begin(PARTITION, 7).alone == 3


def test_a_revocation_takes_the_count_back() -> None:
    offsets = CommittedOffsets(7)
    _counter(offsets).begin(PARTITION, 7)
    counter = _counter(offsets)
    counter.begin(PARTITION, 7)
    counter.alone(PARTITION)
    counter.take_back([PARTITION, ("ocr.uploads", 4)])
    assert parse_metadata(7, offsets.position.metadata) == Starts(7, begun=1, alone=0)


def test_a_record_after_the_first_is_not_counted() -> None:
    offsets = CommittedOffsets(7)
    counter = _counter(offsets)
    counter.begin(PARTITION, 7)
    counter.finished(PARTITION)
    written = offsets.position
    assert counter.begin(PARTITION, 8) == Starts(8)
    assert offsets.position is written


def test_counts_of_another_offset_say_nothing() -> None:
    offsets = CommittedOffsets(7)
    _counter(offsets).begin(PARTITION, 7)
    assert _counter(offsets).begin(PARTITION, 8).begun == 0


@pytest.mark.parametrize(
    "metadata", [None, "", "not json", "[]", '{"begun": "x"}', '{"begun": null}', "7", '{"begun": 1e400}']
)
def test_foreign_metadata_counts_nothing(metadata: str | None) -> None:
    assert parse_metadata(1, metadata) == Starts(1)
