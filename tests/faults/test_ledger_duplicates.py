"""The short form of `python -m tests.faults.ledger_duplicates`, and that it can tell a wrong balance."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.ledger.grants import grant
from services.runtime.database import create_database
from services.runtime.migrations import migrate
from services.runtime.settings import DatabaseSettings
from tests.faults.ledger_duplicates import Storm, problems_of, run, settings_of
from tests.integration.ledger.running import Wire
from tests.support.parts import KafkaPart
from tests.support.usage import NOON

_EVENTS = 5_000
_KILLS = 3
_SEED = 7


def test_a_storm_is_a_tenth_duplicates_and_knows_the_balances() -> None:
    storm = Storm.draw(1_100, seed=1)
    assert (len(storm.events), storm.unique) == (1_100, 1_000)
    once = {event.usage_id: event for event in storm.events}
    assert len(once) == 1_000
    assert sum(storm.balances.values()) == -sum(event.tokens for event in once.values())
    assert [event.usage_id for event in storm.events] != sorted(event.usage_id for event in storm.events)


@pytest.mark.needs_real("kafka")
@pytest.mark.timeout(600)
def test_duplicates_over_replicas_that_are_killed_are_charged_once_to_the_token(
    kafka: KafkaPart, topic_prefix: str, postgres_url: str, tmp_path: Path
) -> None:
    migrate(postgres_url)
    wire = Wire(settings_of(kafka.bootstrap_servers, topic_prefix))
    try:
        counts = run(wire, postgres_url, tmp_path, events=_EVENTS, kills=_KILLS, seed=_SEED)
        assert counts.problems == []
        assert counts.kills >= _KILLS
        assert counts.entries == counts.unique < counts.sent == _EVENTS
        # One token more is seen: the check can fail.
        engine = create_database(DatabaseSettings(url=SecretStr(postgres_url)))
        grant(engine, "user-1", 1, "one-token-too-many", now=NOON)
        assert any(
            problem.startswith("user-1 in SQL") for problem in problems_of(engine, wire, Storm.draw(_EVENTS, _SEED))
        )
        engine.dispose()
    finally:
        wire.close()
