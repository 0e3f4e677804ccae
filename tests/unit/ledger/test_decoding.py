"""What the database could not hold is undecodable."""

import json
from typing import Any

import pytest

from schemas.cloudevents import Undecodable, encode
from schemas.events import BalanceChanged, Event
from services.ledger.decoding import TOKENS_MAX, decode_usage
from services.runtime.producing import attributes_for
from tests.support.usage import NOON, usage


class _Message:
    """The part of a Kafka message that decoding looks at."""

    def __init__(self, event: Event, changes: dict[str, Any] | None = None) -> None:
        attributes = attributes_for(event, source="/tests", subject="tests", now=NOON)
        self._headers, body = encode(event, attributes)
        self._body = json.dumps(json.loads(body) | (changes or {})).encode()

    def headers(self) -> object:
        return self._headers

    def value(self) -> bytes:
        return self._body

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 12


def _decode(event: Event, **changes: Any) -> object:
    return decode_usage(_Message(event, changes))  # type: ignore[arg-type]


def test_a_posting_knows_where_its_event_stood() -> None:
    posting = decode_usage(_Message(usage("r1")))  # type: ignore[arg-type]
    assert (posting.partition, posting.offset, posting.amount, posting.against) == (3, 12, -200, "revenue:3")


@pytest.mark.parametrize(
    "changes",
    [
        {"usageId": ""},
        {"usageId": "x" * 201},
        {"usageId": "null\x00character"},
        {"usageId": "a\ud800b"},
        {"tokens": TOKENS_MAX + 1},
        {"tokens": 10**30},
        {"tokens": -1},
        {"tokens": "200"},
        {"tokens": 1.5},
        {"userId": "../alice"},
        {"userId": "heartbeat/1"},
        {"occurredAt": "2026-06-15T10:30:00"},
    ],
)
def test_what_cannot_be_posted_is_undecodable(changes: dict[str, Any]) -> None:
    with pytest.raises(Undecodable):
        _decode(usage("r1"), **changes)


def test_another_event_on_the_topic_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="expected"):
        _decode(BalanceChanged(user_id="alice", balance=1, version=1, as_of=NOON))


def test_fields_of_a_later_minor_version_are_passed_over() -> None:
    assert _decode(usage("r1"), discount="none") == _decode(usage("r1"))
