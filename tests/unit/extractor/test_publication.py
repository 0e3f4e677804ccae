"""Which finished records share a transaction, and what becomes of them when it is aborted."""

from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from services.extractor.publication import Finished, Publication
from services.runtime.transactions import Record, TransactionAborted, TransactionalPublisher

METADATA = object()
RECORD = Record("topic", "key", b"value", [])


class Transactions(TransactionalPublisher):
    """Remembers what was published."""

    def __init__(self) -> None:
        self.published: list[tuple[list[Record], list[tuple[str, int, int]]]] = []
        self.aborts = 0

    def publish(self, records: Sequence[Record], offsets: Sequence[TopicPartition], group_metadata: Any) -> None:
        assert group_metadata is METADATA
        if self.aborts:
            self.aborts -= 1
            raise TransactionAborted("refused generation")
        self.published.append((list(records), [(found.topic, found.partition, found.offset) for found in offsets]))


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transactions() -> Transactions:
    return Transactions()


@pytest.fixture
def publication(transactions: Transactions, clock: Clock) -> Publication:
    return Publication(transactions, clock)


def _finished(offset: int) -> Finished:
    return Finished(offset, [RECORD], None)


def test_the_only_open_record_is_published_at_once_with_the_offset_after_it(
    publication: Publication, transactions: Transactions
) -> None:
    publication.add(("lane", 3), _finished(7))
    assert list(publication.publish(METADATA, 1)) == [("lane", 3)]
    assert transactions.published == [([RECORD], [("lane", 3, 8)])]
    assert publication.is_empty


def test_records_finished_shortly_after_each_other_share_a_transaction(
    publication: Publication, transactions: Transactions, clock: Clock
) -> None:
    publication.add(("lane", 1), _finished(1))
    assert publication.publish(METADATA, 2) == {}
    publication.add(("lane", 2), _finished(2))
    assert len(publication.publish(METADATA, 2)) == 2
    assert len(transactions.published) == 1
    publication.add(("lane", 1), _finished(2))
    clock.seconds += 0.009
    assert len(publication.publish(METADATA, 2)) == 1


def test_without_a_membership_nothing_is_published(publication: Publication, transactions: Transactions) -> None:
    publication.add(("lane", 1), _finished(1))
    assert publication.publish(None, 1) == {}
    assert transactions.published == []


def test_what_an_aborted_transaction_held_is_published_later_less_what_was_revoked(
    publication: Publication, transactions: Transactions, clock: Clock
) -> None:
    transactions.aborts = 1
    publication.add(("lane", 1), _finished(1))
    publication.add(("lane", 2), _finished(2))
    assert publication.publish(METADATA, 2) == {}
    assert publication.problem == "refused generation"
    assert publication.publish(METADATA, 2) == {}
    publication.drop(("lane", 1))
    clock.seconds += 1
    assert list(publication.publish(METADATA, 1)) == [("lane", 2)]
    assert transactions.published == [([RECORD], [("lane", 2, 3)])]
    assert publication.problem is None
