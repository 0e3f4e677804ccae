"""Heartbeats: up to which moment each partition of usage is posted. Admission trusts them, so they are honest."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from schemas.events import LedgerHeartbeat
from schemas.topics import BALANCES
from services.ledger.ends import Ends
from services.ledger.progress import Progress, posted_until
from services.runtime.errors import BrokerUnavailable
from services.runtime.producing import EventProducer

_log = logging.getLogger(__name__)


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
        self._now = now
        self._clock = clock

    def beat(self, owned: Mapping[int, Progress]) -> None:
        """Sends what is due: every interval, and at once for a partition first seen at its end."""
        clock = self._clock()
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
            self._send(posted_until(due, ends, asked_at))
        except BrokerUnavailable as error:
            _log.warning("no heartbeat: %s", error)

    def _send(self, moments: Mapping[int, datetime]) -> None:
        # Asked each time: partitions may be added while we run, and their heartbeats are waited for then.
        partition_count = self._ends.partition_count()
        for number, moment in moments.items():
            beat = LedgerHeartbeat(partition=number, partition_count=partition_count, posted_until=moment)
            self._producer.send(BALANCES, f"heartbeat/{number}", beat, subject=f"heartbeat/{number}")
