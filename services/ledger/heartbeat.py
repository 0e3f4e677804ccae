"""Heartbeats: up to which moment each partition of usage is posted. Admission trusts them, so they are honest."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from schemas.events import LedgerHeartbeat
from schemas.topics import BALANCES
from services.ledger.ends import Ends
from services.ledger.progress import Progress, posted_until
from services.runtime.errors import TransientError
from services.runtime.producing import EventProducer

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1


class Heartbeats:
    """Beats for every owned partition that is due. Called from the thread that reads and posts."""

    def __init__(
        self,
        producer: EventProducer,
        ends: Ends,
        *,
        interval_seconds: float,
        ask_the_broker: bool,
        may_beat: Callable[[int], bool] = lambda _partition: True,
        unpublished: Callable[[], tuple[int, int] | None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._producer = producer
        self._ends = ends
        self._interval_seconds = interval_seconds
        # The embedded broker under-reports its ends: there the end that was read has to do.
        self._ask_the_broker = ask_the_broker
        # On a broker that starts empty, a heartbeat before the balances would make every user one without an account.
        self._may_beat = may_beat
        # A heartbeat that overtakes the balance of what it says is posted would have an empty account admitted.
        self._unpublished = unpublished
        self._held: tuple[Mapping[int, datetime], int] | None = None
        self._look_at = float("-inf")
        self._now = now
        self._clock = clock

    def beat(self, owned: Mapping[int, Progress]) -> None:
        """Sends what is due, every interval, and at once for a partition first seen at its end.

        1. Take the moment up to which each partition is posted.
        2. Note the newest row of the outbox: the balances of all that was posted until then are not behind it.
        3. Send, once the outbox begins behind that row: those balances are on the topic, and stand there before.
        """
        clock = self._clock()
        if self._held is None:
            self._take(owned, clock)
        if self._held is not None and clock >= self._look_at:
            self._send_if_published(owned, clock)

    def _take(self, owned: Mapping[int, Progress], clock: float) -> None:
        due = {
            number: progress
            for number, progress in owned.items()
            if progress.is_beat_due(clock, self._interval_seconds) and self._may_beat(number)
        }
        if not due:
            return
        for progress in due.values():
            progress.beaten(clock)
        asked_at = self._now()
        ends: Mapping[int, int | None] = self._ends.highs(due) if self._ask_the_broker else dict.fromkeys(due)
        try:
            waiting = self._unpublished()
        except TransientError as error:
            _log.warning("no heartbeat: %s", error)
            return
        self._held = posted_until(due, ends, asked_at), waiting[1] if waiting else 0

    def _send_if_published(self, owned: Mapping[int, Progress], clock: float) -> None:
        assert self._held is not None
        moments, newest = self._held
        try:
            waiting = self._unpublished()
            if waiting is not None and waiting[0] <= newest:
                self._look_at = clock + _LOOK_SECONDS
                return
            self._held = None
            self._send({number: moment for number, moment in moments.items() if number in owned})
        except TransientError as error:
            self._look_at = clock + self._interval_seconds
            _log.warning("no heartbeat: %s", error)

    def _send(self, moments: Mapping[int, datetime]) -> None:
        # Asked each time: partitions may be added while we run, and their heartbeats are waited for then.
        partition_count = self._ends.partition_count()
        for number, moment in moments.items():
            beat = LedgerHeartbeat(partition=number, partition_count=partition_count, posted_until=moment)
            self._producer.send(BALANCES, f"heartbeat/{number}", beat, subject=f"heartbeat/{number}")
