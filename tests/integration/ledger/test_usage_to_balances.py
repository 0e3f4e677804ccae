"""Usage events in, entries and balances out: on the real broker."""

import random

from sqlalchemy import Engine

from schemas.events import EntryPosted
from schemas.topics import ENTRIES
from services.ledger.hashing import GENESIS, event_hash
from services.runtime.settings import KafkaSettings
from tests.integration.ledger.running import Wire, balance, entry_count, eventually, running
from tests.support.usage import usage


def test_usage_becomes_entries_and_balances_on_their_topics(
    wire: Wire, kafka_settings: KafkaSettings, engine: Engine
) -> None:
    wire.send([usage("r1", "alice", 200), usage("r2", "alice", 50), usage("r3", "bob", 70)])
    with running(kafka_settings, engine) as ledger:
        eventually(lambda: balance(engine, "alice") == -250 and balance(engine, "bob") == -70)
        eventually(lambda: len(wire.events(ENTRIES)) == 3)
        eventually(lambda: wire.balances() == {"alice": -250, "bob": -70})
    assert ledger.failures == []
    posted = [event for event in wire.events(ENTRIES) if isinstance(event, EntryPosted)]
    assert all(event_hash(entry) == entry.entry_hash for entry in posted)
    alice = sorted((entry for entry in posted if entry.user_id == "alice"), key=lambda entry: entry.sequence)
    assert [entry.previous_hash for entry in alice] == [GENESIS, alice[0].entry_hash]


def test_duplicates_shuffled_over_partitions_are_charged_once(
    wire: Wire, kafka_settings: KafkaSettings, engine: Engine
) -> None:
    shuffled = random.Random(5)
    events = [usage(f"r{number}", f"user{number % 7}", number) for number in range(1_000)]
    sent = events + events[::10] + events[::25]
    shuffled.shuffle(sent)
    with running(kafka_settings, engine, batch_records_max=100), running(kafka_settings, engine):
        for begin in range(0, len(sent), 50):
            wire.send(sent[begin : begin + 50], partition=shuffled.randrange(4))
        eventually(lambda: entry_count(engine) == 1_000)
        eventually(lambda: sum(balance(engine, f"user{number}") or 0 for number in range(7)) == -sum(range(1_000)))


def test_heartbeats_go_on_while_nothing_happens(wire: Wire, kafka_settings: KafkaSettings, engine: Engine) -> None:
    with running(kafka_settings, engine, heartbeat_seconds=0.3):
        eventually(lambda: len(wire.heartbeats()) >= 16)
    beats = wire.heartbeats()
    assert {beat.partition for beat in beats} == {0, 1, 2, 3}
    assert {beat.partition_count for beat in beats} == {4}
    ours = [beat.posted_until for beat in beats if beat.partition == 1]
    assert ours == sorted(ours)
    assert ours[-1] > ours[0]
