"""The outbox and the balances, onto their topics: at least once, by one replica at a time.

Two replicas may both believe for a moment that it is their turn. Then an entry comes twice (its id tells), and a
balance may come late: its version tells, and the next cycle publishes the newest again.
"""

import json
import logging
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from threading import Event

from confluent_kafka import Message
from sqlalchemy import Engine

from schemas.cloudevents import Attributes, encode_attributes, event_type
from schemas.events import BalanceChanged, EntryPosted
from schemas.topics import BALANCES, ENTRIES
from services.ledger import outbox
from services.ledger.outbox import Balance
from services.runtime.admission import BalanceTable
from services.runtime.backoff import Backoff
from services.runtime.errors import BrokerUnavailable, TransientError
from services.runtime.metrics import OUTBOX_PENDING
from services.runtime.producing import EventProducer

_log = logging.getLogger(__name__)

_PAGE_ROWS = 1_000
_FLUSH_SECONDS_MAX = 30.0


class Publisher:
    """Publishes what the outbox holds, and all balances at start and in a slow cycle."""

    def __init__(
        self,
        engine: Engine,
        producer: EventProducer,
        published: BalanceTable,
        *,
        is_elected: Callable[[], bool],
        poll_seconds: float,
        cycle_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`published` follows the balances topic; `is_elected` says whether it is this replica's turn."""
        self._engine = engine
        self._producer = producer
        self._published = published
        self._is_elected = is_elected
        self._poll_seconds = poll_seconds
        self._cycle_seconds = cycle_seconds
        self._now = now
        self._wake = Event()
        self._cycled_at: datetime | None = None

    def has_published_all(self) -> bool:
        """Whether every balance was published since it became this replica's turn, or the database went back."""
        return self._cycled_at is not None

    def wake(self) -> None:
        """Something was posted: publish it now rather than at the next poll."""
        self._wake.set()

    def renew(self) -> None:
        """The database went back in time: compare all balances with those published, now."""
        self._cycled_at = None
        self._wake.set()

    def run(self, stop: Event) -> None:
        """Publishes until `stop` is set."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                self.round()
                backoff.succeeded()
                self._wake.wait(self._poll_seconds)
                self._wake.clear()
            except TransientError as error:
                seconds = backoff.failed()
                _log.warning("nothing is published for now: %s", error, extra={"retry_seconds": round(seconds, 2)})
                stop.wait(seconds)

    def round(self) -> None:
        """Publishes what there is, if it is this replica's turn and the published versions are known.

        Raises:
            TransientError: database or broker are away; what was not published stays in the outbox.
            ProducerFailed: this process will never publish again; a new one has to.
        """
        self._producer.check()
        if not self._is_elected():
            # Whoever had the turn meanwhile may have died in the middle of it.
            self._cycled_at = None
            return
        if not self._published.complete:
            return
        if self._cycle_is_due():
            self._publish_all_balances()
        while self._publish_page() == _PAGE_ROWS:
            pass

    def _cycle_is_due(self) -> bool:
        return self._cycled_at is None or (self._now() - self._cycled_at).total_seconds() >= self._cycle_seconds

    def _publish_all_balances(self) -> None:
        """Versions first: after a restore they lie below those in the topic, and readers would drop them."""
        started_at = self._now()
        lifted = outbox.lift_versions(self._engine, dict(self._published.balances), started_at)
        if lifted:
            _log.warning(
                "versions of balances lifted above those published: the database went back", extra={"accounts": lifted}
            )
        count, after = 0, ""
        while page := outbox.read_balances(self._engine, after, _PAGE_ROWS):
            self._publish([self._send_balance(balance) for balance in page])
            count, after = count + len(page), page[-1].user_id
        self._cycled_at = started_at
        _log.info("all balances published", extra={"accounts": count})

    def _publish_page(self) -> int:
        """Publishes the oldest rows of the outbox, then deletes them; a crash between the two publishes twice."""
        rows = outbox.read_page(self._engine, _PAGE_ROWS)
        OUTBOX_PENDING.set(len(rows) if len(rows) < _PAGE_ROWS else outbox.count_rows(self._engine))
        if not rows:
            return 0
        balances = outbox.read_balances_of(self._engine, {row.user_id for row in rows if row.entry_event is None})
        entries = [self._send_entry(row.user_id, row.entry_event) for row in rows if row.entry_event is not None]
        self._publish(entries + [self._send_balance(balance) for balance in balances])
        outbox.delete_rows(self._engine, [row.id for row in rows])
        return len(rows)

    def _send_entry(self, user_id: str, body: str) -> "Future[Message]":
        entry = json.loads(body)
        attributes = Attributes(
            id=str(uuid.uuid4()),
            type=event_type(EntryPosted),
            source=self._producer.source,
            subject=entry["entryId"],
            time=self._now(),
            correlation_id=entry["resultId"],
        )
        return self._producer.send_encoded(ENTRIES, user_id, encode_attributes(attributes), body.encode())

    def _send_balance(self, balance: Balance) -> "Future[Message]":
        event = BalanceChanged(
            user_id=balance.user_id, balance=balance.balance, version=balance.version, as_of=self._now()
        )
        return self._producer.send(BALANCES, balance.user_id, event, subject=balance.user_id)

    def _publish(self, sent: Sequence["Future[Message]"]) -> None:
        """Waits for all of them.

        Raises:
            BrokerUnavailable: at least one was not acknowledged; all of them are sent again later.
        """
        self._producer.flush(_FLUSH_SECONDS_MAX)
        try:
            for acknowledged in sent:
                acknowledged.result(_FLUSH_SECONDS_MAX)
        except TimeoutError as error:
            raise BrokerUnavailable("a record was not acknowledged in time") from error
