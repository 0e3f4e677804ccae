"""Debits as spans: each in its upload's trace, linked to its batch."""

from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import Message
from opentelemetry.trace import StatusCode

from services.ledger.book import Batch
from services.ledger.debit_spans import NoDebitSpans, TracedDebits, debit_spans
from services.ledger.posting import Account, accounts_of, debit, post
from services.runtime import tracing
from tests.support.spans import Memory, id_of, parent_of, spans_in_memory, trace_of
from tests.support.usage import NOON, usage

_TRACES = [f"{number:032x}" for number in range(1, 5)]


class Arrived:
    """A record at an offset of partition 0."""

    def __init__(self, offset: int, traceparent: bytes | None) -> None:
        self._offset, self._traceparent = offset, traceparent

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def headers(self) -> list[tuple[str, Any]]:
        return [("ce_id", b"x")] + ([("traceparent", self._traceparent)] if self._traceparent else [])


def arrived(*contexts: bytes | None) -> list[Message]:
    return [cast(Message, Arrived(offset, context)) for offset, context in enumerate(contexts)]


def context(trace: str) -> bytes:
    return f"00-{trace}-b7ad6b7169203331-01".encode()


def test_each_debit_is_in_its_uploads_trace_and_linked_to_the_batch() -> None:
    postings = [debit(usage("a"), 0, 0), debit(usage("a"), 0, 1), debit(usage("a", tokens=7), 0, 2)]
    postings += [debit(usage("b"), 0, 3), debit(usage("c"), 0, 4)]
    accounts = {name: Account(name) for name in accounts_of(postings)}
    outcome = post(postings, accounts, {}, NOON)
    with spans_in_memory() as memory:
        spans = debit_spans()
        spans.gathered(arrived(*map(context, _TRACES), b"\xff"))
        with pytest.raises(ConnectionError), spans.posting():
            raise ConnectionError("away")
        with spans.posting() as attempt:
            pass
        spans.posted(Batch(postings=postings), outcome, attempt)
    debits = memory.all("debit")
    assert [trace_of(each) for each in debits] == _TRACES
    assert {parent_of(each) for each in debits} == {"b7ad6b7169203331"}
    fates = [each.attributes["ocr.fate"] for each in debits if each.attributes]
    assert fates == ["posted", "duplicate", "conflict", "posted"]
    assert debits[2].status.status_code is StatusCode.ERROR
    failed, stood = memory.all("post usage")
    assert (failed.status.status_code, stood.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert [f"{link.context.trace_id:032x}" for link in stood.links] == _TRACES
    assert {f"{each.links[0].context.span_id:016x}" for each in debits} == {id_of(stood)}


def test_where_nothing_is_traced_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "span", lambda *_, **__: pytest.fail("a span"))
    spans = debit_spans()
    assert isinstance(spans, NoDebitSpans)
    spans.gathered(arrived(context(_TRACES[0])))
    with spans.posting() as attempt:
        pass
    spans.posted(Batch(), post([], {}, {}, NOON), attempt)


def test_a_tracer_makes_the_difference() -> None:
    with spans_in_memory() as memory:
        assert isinstance(memory, Memory)
        assert isinstance(debit_spans(), TracedDebits)
