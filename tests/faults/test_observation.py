"""Which deliveries the checker takes for still to come: not those that nobody works on."""

from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from services.runtime.database import create_database
from services.runtime.migrations import migrate
from services.runtime.settings import DatabaseSettings
from services.webhook_registry.log import Attempt
from services.webhook_registry.payloads import Notice
from services.webhook_registry.registry import add_webhook
from services.webhooks.deliveries import claim, enqueue, record
from tests.faults.observation import to_be_told
from tests.unit.api.fakes import NOW

_SECOND = timedelta(seconds=1)


def test_a_delivery_is_to_come_while_its_next_attempt_lies_ahead(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'webhooks.db'}"
    migrate(url)
    engine = create_database(DatabaseSettings(url=SecretStr(url)))
    webhook = add_webhook(engine, "alice", "https://alice.example/hook", ["result.completed"], NOW)
    notices = [Notice(f"r{number}", "alice", "result.completed", NOW, {}) for number in range(4)]
    results = {notice.delivery_id(webhook.id): notice.result_id for notice in notices}

    def look(seconds: float) -> set[str]:
        return set(to_be_told(engine, NOW + seconds * _SECOND))

    enqueue(engine, [(webhook, notice) for notice in notices], NOW)
    assert look(0) == set(), "nobody tried any"

    taken = claim(engine, {}, per_user_max=3, count=3, lease=30 * _SECOND, now=NOW)
    assert look(29) == {results[each.delivery_id] for each in taken}
    assert look(31) == set(), "nobody took them up again"

    outcomes = [(204, None), (500, 60.0), (500, None)]
    for each, (status, pause) in zip(taken, outcomes, strict=True):
        record(engine, each, Attempt(NOW, 20, status, None), pause)
    assert look(59) == {results[taken[1].delivery_id]}, "delivered and given up are over"
    assert look(61) == set()
    engine.dispose()
