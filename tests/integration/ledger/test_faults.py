"""What the ledger does when something fails: on the real broker."""

import os
import shutil
import threading
import time
from collections.abc import Collection
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine

from schemas.events import BalanceChanged, EntryPosted
from schemas.topics import BALANCES, ENTRIES, USAGE
from services.ledger import outbox
from services.ledger.audit import audit
from services.ledger.book import Batch, post_batch
from services.ledger.ends import Ends
from services.ledger.grants import grant
from services.ledger.offsets import Position, clear_offsets, read_positions
from services.ledger.places import Places
from services.ledger.posting import Outcome
from services.ledger.repair import published_entries, repair_grants
from services.runtime.errors import DatabaseUnavailable, Halt
from services.runtime.kafka import common_config, create_producer, dead_letters_name, topic_name
from services.runtime.settings import KafkaSettings
from tests.integration.ledger.running import Wire, balance, entry_count, eventually, outbox_count, running
from tests.support.parts import DatabasePart
from tests.support.usage import NOON, usage


def test_undecodable_records_are_dead_letters_and_the_rest_goes_on(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    wire.send_raw(b"not an event", [], partition=0)
    wire.send_raw(None, [], partition=0)
    wire.send([usage("r1")], partition=0)
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: balance(sqlite_engine, "alice") == -200)
    letters = wire.records(dead_letters_name(kafka_settings, USAGE))
    headers = [dict(letter.headers() or []) for letter in letters]
    assert [header["dlq-offset"] for header in headers] == [b"0", b"1"]
    assert letters[0].value() == b"not an event"
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: wire.heartbeats(0) != [])
    assert len(wire.records(dead_letters_name(kafka_settings, USAGE))) == 2


def test_an_undecodable_record_as_large_as_its_topic_takes_is_one_dead_letter_and_the_rest_goes_on(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    large = os.urandom(USAGE.message_bytes_max - 200)
    wire.send_raw(large, [("traceparent", b"00-1-2-01")], partition=0)
    wire.send([usage("r1")], partition=0)
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: balance(sqlite_engine, "alice") == -200)
    (letter,) = wire.records(dead_letters_name(kafka_settings, USAGE))
    headers = dict(letter.headers() or [])
    assert (headers["dlq-offset"], headers["dlq-truncated"]) == (b"0", str(len(large)).encode())
    assert headers["original-traceparent"] == b"00-1-2-01"
    kept = letter.value() or b""
    assert large.startswith(kept)
    assert len(kept) > len(large) - 4096


def test_a_run_of_undecodable_records_halts(wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine) -> None:
    for _ in range(150):
        wire.send_raw(b"not an event", [], partition=0)
    wire.flush()
    with running(kafka_settings, sqlite_engine) as ledger:
        eventually(lambda: ledger.failures != [])
    assert isinstance(ledger.failures[0], Halt)


def test_a_database_that_is_away_stops_the_reading_and_nothing_is_lost_or_a_dead_letter(
    wire: Wire, kafka_settings: KafkaSettings, postgres: DatabasePart, postgres_engine: Engine
) -> None:
    wire.send([usage("r1")])
    with running(kafka_settings, postgres_engine) as ledger:
        eventually(lambda: balance(postgres_engine, "alice") == -200)
        owned = set(ledger.consumer.owned)
        postgres.kill()
        try:
            wire.send([usage(f"r{number}", f"user{number % 9}") for number in range(2, 60)])
            eventually(lambda: ledger.worker.trouble is not None)
            # Longer than the session timeout: who does not poll is out of the group by then.
            time.sleep(kafka_settings.session_timeout_ms / 1000 + 2)
            assert set(ledger.consumer.owned) == owned
        finally:
            postgres.start()
        eventually(lambda: entry_count(postgres_engine) == 59, 40)
        eventually(lambda: ledger.worker.trouble is None)
        assert ledger.failures == []
    assert wire.records(dead_letters_name(kafka_settings, USAGE)) == []
    assert audit(postgres_engine).findings == []


def test_partitions_assigned_while_the_database_is_away_are_read_from_their_place_once_it_is_back(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    wire.send([usage(f"before-{number}", f"user{number}") for number in range(20)])
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 20)
    wire.send([usage(f"after-{number}", f"user{number}") for number in range(20)])
    away = threading.Event()
    away.set()
    ends = Ends(AdminClient(common_config(kafka_settings)), topic_name(kafka_settings, USAGE))
    places = Places(sqlite_engine, ends)

    def locate(partitions: Collection[int]) -> dict[int, Position]:
        if away.is_set():
            raise DatabaseUnavailable("away")
        return places(partitions)

    reread: list[int] = []

    def post(batch: Batch, now: datetime) -> Outcome:
        reread.extend(posting.offset for posting in batch.postings if posting.reference.startswith("before"))
        return post_batch(sqlite_engine, batch, now)

    with running(kafka_settings, sqlite_engine, locate=locate, post=post) as ledger:
        eventually(lambda: ledger.consumer.assigned and ledger.worker.trouble is not None)
        wire.send([usage(f"later-{number}", f"user{number}") for number in range(20)])
        away.clear()
        eventually(lambda: entry_count(sqlite_engine) == 60)
    assert reread == []


def test_a_replica_that_slept_through_a_rebalance_doubles_nothing_and_rejoins(
    wire: Wire, kafka_settings: KafkaSettings, postgres_engine: Engine
) -> None:
    impatient = kafka_settings.model_copy(update={"max_poll_interval_ms": 3_000})
    frozen, thaw = threading.Event(), threading.Event()
    late: list[Outcome] = []

    def slow_post(batch: Batch, now: datetime) -> Outcome:
        if frozen.is_set():
            return post_batch(postgres_engine, batch, now)
        frozen.set()
        thaw.wait(30)
        late.append(post_batch(postgres_engine, batch, now))
        return late[0]

    events = [usage(f"r{number}", f"user{number % 9}") for number in range(40)]
    wire.send(events)
    with running(impatient, postgres_engine, post=slow_post) as sleeper:
        assert frozen.wait(20)
        with running(impatient, postgres_engine):
            eventually(lambda: entry_count(postgres_engine) == 40, 40)
            after = {number: each.next_offset for number, each in read_positions(postgres_engine, range(4)).items()}
            thaw.set()
            eventually(lambda: late != [])
            assert late[0].entries == []
            now = {number: each.next_offset for number, each in read_positions(postgres_engine, range(4)).items()}
            assert now == after
            wire.send([usage(f"s{number}", f"user{number % 9}") for number in range(40)])
            eventually(lambda: entry_count(postgres_engine) == 80, 40)
        assert sleeper.failures == []
    assert audit(postgres_engine).findings == []


def test_a_database_restored_from_a_backup_catches_up_to_the_token(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine, tmp_path: Path
) -> None:
    path = Path(str(sqlite_engine.url.database))
    grant(sqlite_engine, "alice", 1_000, "before", now=NOON)
    wire.send([usage("r1", "alice", 100), usage("r2", "bob", 50)])
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 3 and outbox_count(sqlite_engine) == 0)
    sqlite_engine.dispose()
    shutil.copy(path, tmp_path / "backup.db")

    grant(sqlite_engine, "alice", 700, "after", now=NOON, note="top-up")
    wire.send([usage("r3", "alice", 10), usage("r4", "carol", 5)])
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 6 and outbox_count(sqlite_engine) == 0)
        eventually(lambda: wire.balances() == {"alice": 1_590, "bob": -50, "carol": -5})
    sqlite_engine.dispose()
    highest = _versions(wire)

    for leftover in path.parent.glob(f"{path.name}*"):
        leftover.unlink()
    shutil.copy(tmp_path / "backup.db", path)
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: wire.balances() == {"alice": 890, "bob": -50, "carol": -5})
        repaired = repair_grants(sqlite_engine, published_entries(kafka_settings))
        assert (repaired.granted, repaired.tokens, repaired.refused) == (1, 700, [])
        eventually(lambda: wire.balances() == {"alice": 1_590, "bob": -50, "carol": -5})
        assert repair_grants(sqlite_engine, published_entries(kafka_settings)).granted == 0
    assert audit(sqlite_engine).findings == []
    assert _versions(wire)["alice"] > highest["alice"]


def _versions(wire: Wire) -> dict[str, int]:
    versions: dict[str, int] = {}
    for event in wire.events(BALANCES):
        if isinstance(event, BalanceChanged):
            versions[event.user_id] = max(event.version, versions.get(event.user_id, 0))
    return versions


def test_offsets_cleared_under_a_running_ledger_are_read_again_and_charge_nobody_twice(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    wire.send([usage(f"r{number}") for number in range(10)], partition=0)
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 10)
        clear_offsets(sqlite_engine)
        wire.send([usage("r10")], partition=0)
        eventually(lambda: entry_count(sqlite_engine) == 11)
    assert balance(sqlite_engine, "alice") == -2_200


def test_a_topic_made_anew_is_read_from_its_beginning(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    wire.send([usage(f"r{number}") for number in range(10)], partition=0)
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 10)
    name = topic_name(kafka_settings, USAGE)
    admin = AdminClient(common_config(kafka_settings))
    admin.delete_topics([name])[name].result(20)
    eventually(lambda: name not in admin.list_topics(timeout=10).topics)
    # Another producer: the one from before may still know the topic that is gone, and write into its remains.
    anew = Wire(kafka_settings)
    anew.send([usage("new-1"), usage("new-2")], partition=0)
    anew.close()
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 12)
    assert read_positions(sqlite_engine, [0])[0].next_offset == 2


@pytest.mark.needs_real("kafka")
def test_usage_that_expired_unread_is_passed_over(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    wire.send([usage("r0")], partition=0)
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 1)
    wire.send([usage(f"r{number}") for number in range(1, 10)], partition=0)
    admin = AdminClient(common_config(kafka_settings))
    place = TopicPartition(topic_name(kafka_settings, USAGE), 0, 5)
    admin.delete_records([place])[place].result(20)
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 6)
    assert read_positions(sqlite_engine, [0])[0].next_offset == 10


def test_a_crash_between_publishing_and_deleting_publishes_again_with_the_same_ids(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.send([usage("r1")])
    real, crashed = outbox.delete_rows, threading.Event()

    def crash_once(engine: Engine, ids: Collection[int]) -> None:
        if not crashed.is_set():
            crashed.set()
            raise DatabaseUnavailable("crashed here")
        real(engine, ids)

    monkeypatch.setattr(outbox, "delete_rows", crash_once)
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: crashed.is_set() and outbox_count(sqlite_engine) == 0 and entry_count(sqlite_engine) == 1)
    published = [event for event in wire.events(ENTRIES) if isinstance(event, EntryPosted)]
    assert len(published) == 2
    assert len({event.entry_id for event in published}) == 1
    assert wire.balances() == {"alice": -200}


def test_a_grant_is_published_within_a_second(wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine) -> None:
    with running(kafka_settings, sqlite_engine) as ledger:
        eventually(lambda: ledger.publisher.has_published_all())
        grant(sqlite_engine, "alice", 500, "k1", now=NOON)
        granted_at = time.time()
        eventually(lambda: wire.balances() == {"alice": 500})
    record = next(each for each in wire.records(topic_name(kafka_settings, BALANCES)) if each.key() == b"alice")
    assert record.timestamp()[1] / 1000 - granted_at < 1.0


def test_every_balance_is_published_again_at_each_start(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    for number in range(5):
        grant(sqlite_engine, f"user{number}", 10, f"k{number}", now=NOON)
    for starts in (1, 2):
        with running(kafka_settings, sqlite_engine) as ledger:
            eventually(lambda: ledger.publisher.has_published_all() and outbox_count(sqlite_engine) == 0)
        keys = [each.key() for each in wire.records(topic_name(kafka_settings, BALANCES)) if each.key() == b"user3"]
        assert len(keys) >= starts
    assert wire.balances() == {f"user{number}": 10 for number in range(5)}


def test_a_heartbeat_says_no_more_than_what_is_posted(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    away = threading.Event()

    def post(batch: Batch, now: datetime) -> Outcome:
        if away.is_set():
            raise DatabaseUnavailable("away")
        return post_batch(sqlite_engine, batch, now)

    with running(kafka_settings, sqlite_engine, post=post, heartbeat_seconds=0.2) as ledger:
        eventually(lambda: len(wire.heartbeats(0)) >= 2)
        away.set()
        wire.send([usage("r1")], partition=0)
        sent_at = max(each.timestamp()[1] for each in wire.records(topic_name(kafka_settings, USAGE)))
        eventually(lambda: ledger.worker.trouble is not None)
        others = len(wire.heartbeats(1))
        eventually(lambda: len(wire.heartbeats(1)) >= others + 5)
        assert all(beat.posted_until.timestamp() * 1000 <= sent_at for beat in wire.heartbeats(0))
        away.clear()
        eventually(lambda: wire.heartbeats(0)[-1].posted_until.timestamp() * 1000 > sent_at)


def test_a_heartbeat_does_not_vouch_for_a_transaction_that_is_still_open(
    wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    producer = create_producer(kafka_settings, linger_ms=1, transactional_id="open")
    producer.init_transactions(20)
    with running(kafka_settings, sqlite_engine, heartbeat_seconds=0.2):
        eventually(lambda: len(wire.heartbeats(0)) >= 2 and len(wire.heartbeats(1)) >= 2)
        producer.begin_transaction()
        producer.produce(topic_name(kafka_settings, USAGE), value=b"pending", partition=0)
        producer.flush(10)
        opened_at = time.time()
        others = len(wire.heartbeats(1))
        eventually(lambda: len(wire.heartbeats(1)) >= others + 5)
        assert wire.heartbeats(0)[-1].posted_until.timestamp() <= opened_at
        assert wire.heartbeats(1)[-1].posted_until.timestamp() > opened_at
        producer.abort_transaction(20)
        eventually(lambda: wire.heartbeats(0)[-1].posted_until.timestamp() > opened_at)


def test_replicas_come_and_go_and_every_event_is_charged_once(
    wire: Wire, kafka_settings: KafkaSettings, postgres_engine: Engine
) -> None:
    events = [usage(f"r{number}", f"user{number % 13}", 1) for number in range(3_000)]
    post = partial(post_batch, postgres_engine)
    with running(kafka_settings, postgres_engine, post=post, batch_records_max=50):
        for begin in range(0, 3_000, 500):
            with running(kafka_settings, postgres_engine, batch_records_max=50):
                wire.send(events[begin : begin + 500] + events[max(begin - 50, 0) : begin])
        eventually(lambda: entry_count(postgres_engine) == 3_000, 60)
    assert sum(balance(postgres_engine, f"user{number}") or 0 for number in range(13)) == -3_000
    assert audit(postgres_engine).findings == []
