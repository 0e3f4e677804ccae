"""What Prometheus is told of the ledger's state, looked at every few seconds rather than at each scrape."""

import logging
import time
from collections.abc import Callable, Mapping
from threading import Event

from confluent_kafka import KafkaException
from sqlalchemy import Engine, case, func, select

from services.ledger import outbox
from services.ledger.ends import Ends
from services.ledger.posting import user_account, user_of
from services.ledger.progress import Progress
from services.ledger.settings import LedgerSettings
from services.ledger.tables import accounts
from services.runtime.database import reading
from services.runtime.errors import TransientError
from services.runtime.metrics import ACCOUNTS, CONSUMER_LAG, LOW_BALANCE, OUTBOX_AGE

_log = logging.getLogger(__name__)

_PERIOD_SECONDS = 15.0
_STATES = ("empty", "low", "funded")


class Gauges:
    """The lag of the partitions that this replica owns; of what is one for all replicas, the elected one speaks."""

    def __init__(
        self,
        engine: Engine,
        ends: Ends,
        *,
        topic: str,
        group: str,
        owned: Callable[[], Mapping[int, Progress]],
        is_elected: Callable[[], bool],
        settings: LedgerSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._ends = ends
        self._topic = topic
        self._group = group
        self._owned = owned
        self._is_elected = is_elected
        self._settings = settings
        self._clock = clock
        self._told: set[int] = set()
        self._oldest: tuple[int, float] | None = None

    def run(self, stop: Event) -> None:
        """Looks until `stop` is set; what cannot be looked at keeps its last value, and the log says why."""
        while not stop.wait(_PERIOD_SECONDS):
            try:
                self.look()
            except (TransientError, KafkaException) as error:
                _log.warning("the gauges stand still: %s", error)

    def look(self) -> None:
        """Looks once."""
        self._tell_lag()
        if self._is_elected():
            self._tell_outbox()
            self._tell_accounts()
        else:
            # Another replica speaks now; what this one said last would stand beside it for ever.
            OUTBOX_AGE.set(0)
            ACCOUNTS.clear()
            LOW_BALANCE.clear()

    def _tell_lag(self) -> None:
        owned = dict(self._owned())
        ends = self._ends.highs(list(owned))
        for number in self._told - owned.keys():
            CONSUMER_LAG.remove(self._group, self._topic, str(number))
        for number, progress in owned.items():
            if number in ends:
                # The end of a transaction takes an offset of its own, which nobody waits for.
                behind = 0 if progress.is_at_end(ends[number]) else ends[number] - (progress.next_offset or 0)
                CONSUMER_LAG.labels(self._group, self._topic, str(number)).set(max(0, behind))
        self._told = set(owned)

    def _tell_outbox(self) -> None:
        page = outbox.read_page(self._engine, 1)
        if not page:
            self._oldest = None
        elif self._oldest is None or self._oldest[0] != page[0].id:
            self._oldest = (page[0].id, self._clock())
        OUTBOX_AGE.set(0 if self._oldest is None else self._clock() - self._oldest[1])

    def _tell_accounts(self) -> None:
        threshold = self._settings.low_balance_tokens
        balance = accounts.c.balance
        state = case((balance <= 0, "empty"), (balance < threshold, "low"), else_="funded").label("state")
        users = accounts.c.id.like(user_account("%"))
        low = (
            select(accounts.c.id, balance)
            .where(users, balance > 0, balance < threshold)
            .order_by(balance, accounts.c.id)
            .limit(self._settings.low_balance_users_max)
        )
        with reading(self._engine) as connection:
            grouped = select(state, func.count()).where(users).group_by(state)
            counts = {str(name): int(count) for name, count in connection.execute(grouped)}
            lowest = [(user_of(account), int(tokens)) for account, tokens in connection.execute(low)]
        for name in _STATES:
            ACCOUNTS.labels(name).set(counts.get(name, 0))
        LOW_BALANCE.clear()
        for user_id, tokens in lowest:
            LOW_BALANCE.labels(user_id).set(tokens)
