"""What the reconciler remembers: requests made lately, and balances that rose above zero."""

from services.intake.recent import RecentRequests
from services.intake.top_ups import TopUps
from services.runtime.admission import BalanceTable
from tests.unit.intake.fakes import FakeClock, balance


class Accounts:
    """Balances that arrive at a table and at its listener."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.table = BalanceTable(60.0)
        self.top_ups = TopUps(self.table, 1.0, self.clock)

    def arrive(self, user_id: str, tokens: int, version: int) -> None:
        event = balance(user_id, tokens, version)
        self.table.apply(event)
        self.top_ups.on_balance(event)

    def due(self) -> list[str]:
        self.clock.sleep(1.5)
        return list(self.top_ups.due())


def test_memory_is_bounded_and_forgets_the_oldest_first() -> None:
    recent = RecentRequests(900.0, 3, FakeClock())
    for identity in "abc":
        recent.add(identity)
    recent.add("a")
    recent.add("d")
    assert [identity for identity in "abcd" if identity in recent] == ["a", "c", "d"]
    assert len(recent) == 3


def test_a_balance_that_rises_above_zero_is_due_once_after_its_delay() -> None:
    accounts = Accounts()
    accounts.table.complete = True
    accounts.arrive("alice", 0, 1)
    accounts.arrive("alice", 50, 2)
    assert list(accounts.top_ups.due()) == []
    assert accounts.due() == ["alice"]
    accounts.arrive("alice", 40, 3)
    accounts.arrive("alice", 90, 4)
    assert accounts.due() == []
    accounts.arrive("alice", -1, 5)
    accounts.arrive("alice", 10, 6)
    assert accounts.due() == ["alice"]


def test_a_new_account_with_balance_is_due() -> None:
    accounts = Accounts()
    accounts.table.complete = True
    accounts.arrive("alice", 50, 1)
    assert accounts.due() == ["alice"]


def test_balances_read_at_the_start_are_not_due() -> None:
    accounts = Accounts()
    accounts.arrive("alice", 50, 1)
    accounts.table.complete = True
    assert accounts.due() == []


def test_an_old_version_that_the_table_drops_is_not_due() -> None:
    accounts = Accounts()
    accounts.table.complete = True
    accounts.arrive("alice", 0, 5)
    accounts.arrive("alice", 50, 4)
    assert accounts.due() == []


def test_a_user_who_is_put_back_waits_longer_each_time_and_nobody_waits_behind() -> None:
    accounts = Accounts()
    accounts.table.complete = True
    accounts.arrive("alice", 50, 1)
    assert accounts.due() == ["alice"]
    for _ in range(10):
        accounts.top_ups.put_back("alice")
    accounts.arrive("bob", 50, 1)
    assert accounts.due() == ["bob"]
    accounts.clock.sleep(60.0)
    assert accounts.due() == ["alice"]
    accounts.top_ups.visited("alice")
    accounts.top_ups.put_back("alice")
    assert accounts.due() == ["alice"]


def test_who_is_put_back_while_others_are_visited_is_not_visited_before_them_again() -> None:
    accounts = Accounts()
    accounts.table.complete = True
    accounts.arrive("alice", 50, 1)
    accounts.arrive("bob", 50, 1)
    accounts.clock.sleep(1.5)
    visited = []
    for user_id in accounts.top_ups.due():
        visited.append(user_id)
        accounts.clock.sleep(90.0)
        accounts.top_ups.put_back(user_id)
    assert visited == ["alice", "bob"]
