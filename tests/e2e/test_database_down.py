"""The database is away for long: what is read goes on, nothing is lost, and nothing is taken for undecodable."""

import time

from schemas.events import ResultCompleted
from schemas.topics import TOPICS
from services.ledger.audit import audit
from services.runtime.kafka import consumer_config, create_consumer, dead_letters_name
from tests.support.parts import DatabasePart
from tests.support.scripted_engine import picture
from tests.support.stage import Worker, wait_for
from tests.support.system import System

_GRANT = 1_000_000
_UPLOADS = 12
_AWAY_SECONDS = 20.0
"""Longer than the session, the poll interval, every timeout of the database, and several retries with their pauses:
what ten minutes would only repeat."""


def test_a_database_that_is_away_for_long_makes_no_dead_letter_and_loses_nothing(
    system: System, postgres: DatabasePart
) -> None:
    system.stage.environment |= {
        "OCR_KAFKA_MAX_POLL_INTERVAL_MS": "8000",
        # Uploads are admitted by the balance last heard of, for as long.
        "OCR_ADMISSION_STALENESS_SECONDS_MAX": "600",
    }
    key = system.account("alice", _GRANT)
    system.ledger()
    api = system.api()
    system.intake()
    system.extractor()
    system.stage.upload("ocr/alice/first.png", picture(words=1, seed=1_000))
    wait_for(lambda: system.balance(api, key) == _GRANT - 51, "the first charge", 90)
    postgres.kill()
    try:
        began = time.monotonic()
        for number in range(_UPLOADS):
            system.stage.upload(f"ocr/alice/{number}.png", picture(words=3, seed=number))
        wait_for(
            lambda: len(system.stage.read.events(ResultCompleted)) == _UPLOADS + 1, "results without a database", 90
        )
        time.sleep(max(0.0, _AWAY_SECONDS - (time.monotonic() - began)))
        answer = system.process(api, key, "ocr/alice/nothing-lies-here.png")
        assert answer.status in (404, 503), answer
    finally:
        postgres.start()
    spent = 51 + _UPLOADS * 53
    wait_for(lambda: _balance(system, api, key) == _GRANT - spent, "every charge", 120)
    listed = "/api/ocr/results?limit=100"
    wait_for(lambda: len(system.call(api, "GET", listed, key).body.get("results", [])) == _UPLOADS + 1, "the list", 120)
    assert audit(system.engine).findings == []
    assert _dead_letters(system) == {}


def _balance(system: System, api: Worker, key: str) -> int | None:
    answer = system.call(api, "GET", "/api/tokens/balance", key)
    return int(answer.body["balance"]) if answer.status == 200 else None


def _dead_letters(system: System) -> dict[str, int]:
    """Records on each topic of dead letters that holds any."""
    from confluent_kafka import TopicPartition

    kafka = system.stage.kafka
    consumer = create_consumer(consumer_config(kafka, group="dead-letters", offset_reset="earliest"))
    try:
        counts = {}
        for topic in TOPICS:
            low, high = consumer.get_watermark_offsets(TopicPartition(dead_letters_name(kafka, topic), 0), timeout=30)
            if high > low:
                counts[topic.name] = high - low
        return counts
    finally:
        consumer.close()
