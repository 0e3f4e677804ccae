"""What the ledger tells Prometheus, on both databases."""

from collections.abc import Collection

from prometheus_client import REGISTRY
from sqlalchemy import Engine, delete

from services.ledger.gauges import Gauges
from services.ledger.grants import grant
from services.ledger.progress import Progress
from services.ledger.settings import LedgerSettings
from services.ledger.tables import outbox
from services.runtime.database import transaction
from tests.support.usage import NOON


class _Ends:
    def __init__(self, highs: dict[int, int]) -> None:
        self._highs = highs

    def highs(self, partitions: Collection[int]) -> dict[int, int]:
        return {number: end for number, end in self._highs.items() if number in partitions}


class _Ledger:
    """The gauges of one replica, and what they look at."""

    def __init__(self, engine: Engine) -> None:
        self.owned = {0: Progress(next_offset=7), 1: Progress(next_offset=5, end_seen=6)}
        self.elected = True
        self.seconds = 0.0
        self.gauges = Gauges(
            engine,
            _Ends({0: 10, 1: 6, 2: 99}),  # type: ignore[arg-type]
            topic="t.usage",
            group="t.ledger",
            owned=lambda: self.owned,
            is_elected=lambda: self.elected,
            settings=LedgerSettings(low_balance_tokens=100, low_balance_users_max=2),
            clock=lambda: self.seconds,
        )


def _lag(partition: int) -> float | None:
    labels = {"group": "t.ledger", "topic": "t.usage", "partition": str(partition)}
    return REGISTRY.get_sample_value("ocr_consumer_group_lag_records", labels)


def _low(user_id: str) -> float | None:
    return REGISTRY.get_sample_value("ocr_ledger_low_balance_tokens", {"user_id": user_id})


def test_low_balances_are_counted_and_the_lowest_are_named(engine: Engine) -> None:
    for user_id, tokens in (("rich", 100), ("a", 3), ("b", 1), ("c", 99)):
        grant(engine, user_id, tokens, f"open-{user_id}", now=NOON)
    ledger = _Ledger(engine)
    ledger.gauges.look()
    counts = {
        state: REGISTRY.get_sample_value("ocr_ledger_accounts", {"balance": state})
        for state in ("empty", "low", "funded")
    }
    assert counts == {"empty": 0, "low": 3, "funded": 1}
    assert {user: _low(user) for user in ("a", "b", "c", "rich")} == {"a": 3, "b": 1, "c": None, "rich": None}
    ledger.elected = False
    ledger.gauges.look()
    assert _low("b") is None


def test_the_outbox_is_as_old_as_its_first_row_has_been_seen(engine: Engine) -> None:
    ledger = _Ledger(engine)
    grant(engine, "a", 3, "open-a", now=NOON)
    ages = []
    for seconds in (0.0, 40.0):
        ledger.seconds = seconds
        ledger.gauges.look()
        ages.append(REGISTRY.get_sample_value("ocr_ledger_outbox_age_seconds"))
    with transaction(engine) as connection:
        connection.execute(delete(outbox))
    ledger.gauges.look()
    ages.append(REGISTRY.get_sample_value("ocr_ledger_outbox_age_seconds"))
    assert ages == [0, 40, 0]


def test_lag_is_told_of_owned_partitions_and_forgotten_with_them(engine: Engine) -> None:
    ledger = _Ledger(engine)
    ledger.gauges.look()
    assert (_lag(0), _lag(1), _lag(2)) == (3, 0, None)
    del ledger.owned[0]
    ledger.gauges.look()
    assert (_lag(0), _lag(1)) == (None, 0)
