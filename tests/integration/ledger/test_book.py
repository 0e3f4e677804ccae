"""A batch is one SQL transaction: on SQLite and PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, Executable, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from schemas.events import UsageRecorded
from services.ledger.audit import audit
from services.ledger.book import Batch, post_batch
from services.ledger.offsets import Rewound, Span, clear_offsets, read_positions
from services.ledger.posting import Outcome, debit
from services.ledger.tables import entries, entry_lines, outbox, usage_conflicts
from services.runtime.database import create_database, reading, transaction
from services.runtime.errors import DatabaseUnavailable
from services.runtime.migrations import migrate_engine
from services.runtime.settings import DatabaseSettings
from tests.integration.ledger.running import balance, entry_count
from tests.support.usage import NOON, usage


def _batch(events: list[UsageRecorded], *, partition: int = 0, begin: int | None = None, first: int = 0) -> Batch:
    postings = [debit(event, partition, first + index) for index, event in enumerate(events)]
    return Batch({partition: Span(begin, first + len(events), NOON)}, postings)


def _post(engine: Engine, batch: Batch) -> Outcome:
    return post_batch(engine, batch, NOON)


def _next_offset(engine: Engine, partition: int = 0) -> int | None:
    position = read_positions(engine, [partition]).get(partition)
    return position.next_offset if position else None


def _rows(engine: Engine, table: object) -> int:
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[arg-type]


def test_entry_lines_balance_outbox_and_offset_stand_together(engine: Engine) -> None:
    _post(engine, _batch([usage("r1"), usage("r2", "bob", 70)]))
    assert (balance(engine, "alice"), balance(engine, "bob")) == (-200, -70)
    assert _next_offset(engine) == 2
    assert read_positions(engine, [0])[0].posted_until == NOON
    assert _rows(engine, entry_lines) == 4
    assert _rows(engine, outbox) == 4
    assert audit(engine).findings == []


def test_a_failure_in_the_middle_leaves_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("killed here")

    monkeypatch.setattr("services.ledger.book.advance", fail)
    with pytest.raises(RuntimeError):
        _post(engine, _batch([usage("r1")]))
    assert entry_count(engine) == 0
    assert balance(engine, "alice") == 0
    assert _rows(engine, outbox) == 0


def test_a_batch_whose_commit_was_cut_off_can_be_posted_again(engine: Engine) -> None:
    batch = _batch([usage("r1"), usage("r2")], first=5)
    _post(engine, batch)
    assert _post(engine, batch) == Outcome([], {}, [], 0)
    assert balance(engine, "alice") == -400
    assert _next_offset(engine) == 7


def test_same_usage_event_in_another_batch_or_partition_is_charged_once(engine: Engine) -> None:
    _post(engine, _batch([usage("r1")]))
    again = _post(engine, _batch([usage("r1"), usage("r2")], begin=1, first=1))
    elsewhere = _post(engine, _batch([usage("r1")], partition=2))
    assert (again.duplicates, elsewhere.duplicates) == (1, 1)
    assert balance(engine, "alice") == -400


def test_a_conflicting_payload_is_recorded_once_and_never_applied(engine: Engine) -> None:
    _post(engine, _batch([usage("r1", tokens=200)]))
    for first in (1, 2):
        outcome = _post(engine, _batch([usage("r1", tokens=900)], begin=first, first=first))
        assert len(outcome.conflicts) == 1
    assert balance(engine, "alice") == -200
    with reading(engine) as connection:
        row = connection.execute(select(usage_conflicts)).one()
    assert (row.usage_id, row.partition, row.offset) == ("r1", 0, 1)
    assert row.payload_hash != row.posted_hash


def test_a_stale_owner_doubles_nothing_and_takes_no_offset_back(engine: Engine) -> None:
    _post(engine, _batch([usage(f"r{number}") for number in range(10)]))
    slept = _batch([usage(f"r{number}") for number in range(2, 5)], begin=2, first=2)
    assert _post(engine, slept) == Outcome([], {}, [], 0)
    assert _next_offset(engine) == 10
    assert balance(engine, "alice") == -2_000


def test_a_stale_owner_and_its_successor_at_once_post_each_event_once(engine: Engine) -> None:
    events = [usage(f"r{number}", f"user{number % 5}") for number in range(200)]
    lengths = [200, 50, 120, 10, 200, 199]
    with ThreadPoolExecutor(len(lengths)) as pool:
        list(pool.map(lambda length: _post(engine, _batch(events[:length])), lengths))
    assert entry_count(engine) == 200
    assert _next_offset(engine) == 200
    assert audit(engine).findings == []


def test_a_database_restored_under_a_running_ledger_is_noticed_before_anything_is_skipped(engine: Engine) -> None:
    _post(engine, _batch([usage("r1")]))
    with pytest.raises(Rewound) as rewound:
        _post(engine, _batch([usage("r9")], begin=8, first=8))
    assert rewound.value.stored == {0: 1}
    assert _next_offset(engine) == 1
    assert entry_count(engine) == 1


def test_cleared_offsets_are_noticed_by_a_running_ledger(engine: Engine) -> None:
    _post(engine, _batch([usage("r1")]))
    clear_offsets(engine)
    with pytest.raises(Rewound) as rewound:
        _post(engine, _batch([usage("r2")], begin=1, first=1))
    assert rewound.value.stored == {0: None}


def test_a_topic_read_again_from_its_beginning_charges_nobody_twice(engine: Engine) -> None:
    batch = _batch([usage("r1"), usage("r2")])
    _post(engine, batch)
    clear_offsets(engine)
    assert _post(engine, batch).duplicates == 2
    assert balance(engine, "alice") == -400


def test_partitions_that_charge_the_same_users_at_once_do_not_wait_for_each_other_in_a_circle(engine: Engine) -> None:
    users = [f"user{number}" for number in range(20)]

    def post_partition(partition: int) -> None:
        ordered = users if partition % 2 else users[::-1]
        for begin in range(5):
            events = [usage(f"r-{partition}-{begin}-{user}", user, 1) for user in ordered]
            batch = _batch(events, partition=partition, begin=begin * 20 or None, first=begin * 20)
            _post(engine, batch)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(post_partition, range(4)))
    assert [balance(engine, user) for user in users] == [-20] * 20
    assert audit(engine).findings == []


def test_two_replicas_posting_one_usage_id_for_two_users_charge_one_of_them(engine: Engine) -> None:
    start = threading.Barrier(2)

    def post_for(user_and_partition: tuple[str, int]) -> Outcome:
        user, partition = user_and_partition
        start.wait()
        return _post(engine, _batch([usage(f"r{number}", user) for number in range(50)], partition=partition))

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(post_for, [("alice", 0), ("bob", 1)]))
    assert entry_count(engine) == 50
    assert sum(len(outcome.conflicts) for outcome in outcomes) == 50
    assert audit(engine).findings == []


def test_a_replica_frozen_in_a_transaction_holds_the_others_for_a_bounded_time(postgres_engine: Engine) -> None:
    _post(postgres_engine, _batch([usage("r1")]))
    frozen = postgres_engine.connect()
    frozen.execute(text("SET idle_in_transaction_session_timeout = 300"))
    frozen.execute(text("SELECT * FROM accounts FOR UPDATE"))
    _post(postgres_engine, _batch([usage("r2")], begin=1, first=1))
    assert balance(postgres_engine, "alice") == -400
    frozen.invalidate()


@pytest.mark.parametrize(
    "change",
    [
        update(entries).values(user_id="mallory"),
        update(entry_lines).values(amount=0),
        delete(entries),
        delete(entry_lines),
    ],
)
def test_the_database_refuses_to_change_what_was_posted(engine: Engine, change: Executable) -> None:
    _post(engine, _batch([usage("r1")]))
    with pytest.raises(DBAPIError, match="never changed or deleted"), transaction(engine) as connection:
        connection.execute(change)
    assert balance(engine, "alice") == -200
    assert entry_count(engine) == 1


def test_postgresql_refuses_to_empty_the_tables(postgres_engine: Engine) -> None:
    _post(postgres_engine, _batch([usage("r1")]))
    with pytest.raises(DBAPIError, match="never changed or deleted"), transaction(postgres_engine) as connection:
        connection.execute(text("TRUNCATE entries, entry_lines"))


def test_a_full_hour_later_the_chain_goes_on_where_it_was(engine: Engine) -> None:
    _post(engine, _batch([usage("r1")]))
    post_batch(engine, _batch([usage("r2")], begin=1, first=1), NOON + timedelta(hours=1))
    assert audit(engine).findings == []


def test_a_batch_that_never_gets_its_lock_is_transient(sqlite_url: str) -> None:
    engine = create_database(DatabaseSettings(url=SecretStr(sqlite_url), lock_timeout_seconds=0.2))
    migrate_engine(engine)
    with transaction(engine), pytest.raises(DatabaseUnavailable):
        _post(engine, _batch([usage("r1")]))
    engine.dispose()
