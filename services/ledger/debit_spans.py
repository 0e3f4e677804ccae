"""Debits as spans: each in the trace of its upload, linked to the one span of the batch that posted all of them."""

import time
from collections.abc import Mapping
from typing import Protocol

from confluent_kafka import Message

from schemas.topics import USAGE
from services.ledger.book import Batch
from services.ledger.posting import Outcome, Posting
from services.runtime import tracing
from services.runtime.tracing import Kind, Span

_LINKS_MAX = 128
"""What OpenTelemetry keeps of one span's links unless told otherwise."""


class DebitSpans(Protocol):
    """What the worker tells while it gathers and posts."""

    def gathered(self, messages: list[Message]) -> None:
        """These make up the next batch."""

    def posting(self) -> Span:
        """The span of one attempt to post; a context manager."""

    def posted(self, batch: Batch, outcome: Outcome, attempt: Span) -> None:
        """The attempt is committed."""


class NoDebitSpans:
    """Nothing is traced: nothing is kept."""

    def gathered(self, messages: list[Message]) -> None:
        """Nothing."""

    def posting(self) -> Span:
        """No span."""
        return _NONE

    def posted(self, batch: Batch, outcome: Outcome, attempt: Span) -> None:
        """Nothing."""


class TracedDebits:
    """Keeps the contexts of the open batch's records until it is posted, however many attempts that takes."""

    def __init__(self) -> None:
        self._contexts: Mapping[tuple[int, int], str] = {}
        self._gathered_ns = 0

    def gathered(self, messages: list[Message]) -> None:
        """Remembers the context of each record."""
        self._gathered_ns = time.time_ns()
        self._contexts = {
            (int(message.partition() or 0), int(message.offset() or 0)): context
            for message in messages
            if (context := _context(message)) is not None
        }

    def posting(self) -> Span:
        """One span for all records, linked to each: it belongs to no upload alone."""
        return tracing.span(
            "post usage",
            kind=Kind.CONSUMER,
            links=tuple(self._contexts.values())[:_LINKS_MAX],
            attributes=tracing.messaging("process", USAGE.name),
        )

    def posted(self, batch: Batch, outcome: Outcome, attempt: Span) -> None:
        """A span for each record that was posted, or found posted, below the span that sent it."""
        applied = {id(entry.posting) for entry in outcome.entries}
        conflicts = {id(conflict.posting) for conflict in outcome.conflicts}
        for posting in batch.postings:
            context = self._contexts.get((posting.partition, posting.offset))
            if context is not None:
                fate = "posted" if id(posting) in applied else "conflict" if id(posting) in conflicts else "duplicate"
                self._debit(posting, context, fate, attempt)

    def _debit(self, posting: Posting, context: str, fate: str, attempt: Span) -> None:
        debit = tracing.span(
            "debit",
            kind=Kind.CONSUMER,
            parent=context,
            links=(attempt.traceparent,) if attempt.traceparent else (),
            attributes=tracing.messaging("process", USAGE.name, posting.result_id)
            | {"ocr.tokens": -posting.amount, "ocr.fate": fate},
            started_ns=self._gathered_ns,
        )
        if fate == "conflict":
            debit.fail("the usage id is posted with another payload")
        debit.end()


_NONE = Span()


def debit_spans() -> DebitSpans:
    """What suits the process: spans, or nothing."""
    return TracedDebits() if tracing.is_on() else NoDebitSpans()


def _context(message: Message) -> str | None:
    """Read without decoding the event: only decoded ones are asked for in the end."""
    carried = dict(message.headers() or ()).get("traceparent")
    return tracing.valid(carried.decode("ascii", "replace") if isinstance(carried, bytes) else carried)
