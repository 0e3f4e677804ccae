"""Registrations and deliveries in SQL, on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, inspect, select

from schemas.events import ErrorCode
from services.runtime.database import reading
from services.webhook_registry.log import Attempt, logged_deliveries
from services.webhook_registry.payloads import Notice, notice_of
from services.webhook_registry.registry import (
    PER_USER_MAX,
    InvalidWebhook,
    UnknownWebhook,
    Webhook,
    add_webhook,
    list_webhooks,
    remove_webhook,
    webhooks_of,
)
from services.webhook_registry.tables import ATTEMPTS, DELIVERIES, METADATA
from services.webhooks.deliveries import Claim, claim, enqueue, forget_before, record
from tests.unit.api.fakes import NOW, USER, completed, failed

_SECOND = timedelta(seconds=1)
_LEASE = timedelta(seconds=30)
_TYPES = ["result.completed", "result.failed"]


def webhook(engine: Engine, user: str = USER) -> Webhook:
    return add_webhook(engine, user, f"https://{user}.example/hook", _TYPES, NOW)


def notice(number: int = 0, user: str = USER) -> Notice:
    return Notice(f"r{number}", user, "result.completed", NOW, {"number": number})


def claimed(
    engine: Engine, now_seconds: float = 0, busy: dict[str, int] | None = None, per_user: int = 4
) -> list[Claim]:
    now = NOW + now_seconds * _SECOND
    return list(claim(engine, busy or {}, per_user_max=per_user, count=100, lease=_LEASE, now=now))


def attempt(status: int | None = 500, error: str | None = None) -> Attempt:
    return Attempt(NOW, 20, status, error)


def test_the_tables_are_those_of_the_migration(engine: Engine) -> None:
    found = inspect(engine)
    for table in METADATA.sorted_tables:
        columns = {column["name"]: bool(column["nullable"]) for column in found.get_columns(table.name)}
        assert columns == {column.name: bool(column.nullable) for column in table.columns}


def test_a_webhook_is_registered_found_and_removed(engine: Engine) -> None:
    made = webhook(engine)
    assert list_webhooks(engine) == list_webhooks(engine, USER) == [made]
    assert webhooks_of(engine, [USER, "bob"]) == {USER: [made]}
    assert made.secret not in repr(made)
    remove_webhook(engine, made.id, NOW)
    assert list_webhooks(engine) == []
    with pytest.raises(UnknownWebhook):
        remove_webhook(engine, made.id, NOW)


def test_what_cannot_be_registered_is_not(engine: Engine) -> None:
    for user, types in (("../alice", _TYPES), (USER, ["result.vanished"]), (USER, [])):
        with pytest.raises(InvalidWebhook):
            add_webhook(engine, user, "https://example.com", types, NOW)
    for _ in range(PER_USER_MAX):
        webhook(engine)
    with pytest.raises(InvalidWebhook, match="at most"):
        webhook(engine)
    webhook(engine, "bob")


def test_a_result_that_comes_twice_is_delivered_once(engine: Engine) -> None:
    made = webhook(engine)
    assert enqueue(engine, [(made, notice_of(completed()))] * 2, NOW) == 1
    assert (
        enqueue(engine, [(made, notice_of(completed())), (made, notice_of(failed(ErrorCode.FILE_TOO_LARGE)))], NOW) == 1
    )
    assert len(logged_deliveries(engine)) == 2


def test_of_many_replicas_one_makes_an_attempt(engine: Engine) -> None:
    made = webhook(engine)
    enqueue(engine, [(made, notice(number)) for number in range(6)], NOW)
    with ThreadPoolExecutor(6) as pool:
        claims = [each for found in pool.map(lambda _: claimed(engine, per_user=6), range(6)) for each in found]
    assert len({each.delivery_id for each in claims}) == len(claims) == 6


def test_an_attempt_that_never_came_back_is_made_again(engine: Engine) -> None:
    enqueue(engine, [(webhook(engine), notice())], NOW)
    (first,) = claimed(engine)
    assert claimed(engine, 29) == []
    (again,) = claimed(engine, 31)
    assert (again.delivery_id, again.attempt) == (first.delivery_id, first.attempt + 1)
    record(engine, first, attempt(200), None)  # it comes back after all, too late to decide
    assert logged_deliveries(engine)[0].status == "pending"


def test_one_users_flood_leaves_room_for_others(engine: Engine) -> None:
    alice, bob = webhook(engine), webhook(engine, "bob")
    enqueue(engine, [(alice, notice(number)) for number in range(200)], NOW)
    enqueue(engine, [(bob, notice(0, "bob"))], NOW + _SECOND)
    first = claimed(engine, 1)
    assert [each.user_id for each in first] == [USER] * 4
    assert [each.user_id for each in claimed(engine, 2, {USER: 4})] == ["bob"]


def test_a_failed_attempt_is_due_again_after_its_pause(engine: Engine) -> None:
    enqueue(engine, [(webhook(engine), notice())], NOW)
    record(engine, claimed(engine)[0], attempt(500), 60)
    assert claimed(engine, 59) == []
    (logged,) = logged_deliveries(engine)
    assert (logged.status, logged.attempts) == ("pending", 1)
    assert logged.last == attempt(500)
    (again,) = claimed(engine, 61)
    assert again.attempt == 2


@pytest.mark.parametrize(("status", "outcome"), [(204, "delivered"), (500, "failed"), (None, "failed")])
def test_what_has_ended_keeps_its_log_and_not_its_text(engine: Engine, status: int | None, outcome: str) -> None:
    enqueue(engine, [(webhook(engine), notice())], NOW)
    record(engine, claimed(engine)[0], attempt(status, None if status else "E" * 5000), None)
    (logged,) = logged_deliveries(engine, statuses=[outcome])
    assert (logged.status, logged.attempts) == (outcome, 1)
    with reading(engine) as connection:
        assert connection.execute(select(DELIVERIES.c.body)).scalar_one() is None
    assert claimed(engine, 10**6) == []


def test_a_removed_webhook_gets_nothing_more(engine: Engine) -> None:
    made = webhook(engine)
    enqueue(engine, [(made, notice(number)) for number in range(2)], NOW)
    (under_way, *_) = claimed(engine, per_user=1)
    remove_webhook(engine, made.id, NOW)
    assert claimed(engine, 10**6) == []
    record(engine, under_way, attempt(500), 60)
    assert {each.status for each in logged_deliveries(engine, webhook_id=made.id)} == {"removed"}


def test_what_is_enqueued_while_its_webhook_is_removed_is_not_told_and_ends(engine: Engine) -> None:
    made, other = webhook(engine), webhook(engine)
    remove_webhook(engine, made.id, NOW)
    # Whoever enqueues had looked webhooks up just before.
    enqueue(engine, [(made, notice(number)) for number in range(200)], NOW)
    enqueue(engine, [(other, notice())], NOW + _SECOND)
    claims = [each for _ in range(5) for each in claimed(engine, 2, per_user=1)]
    assert [each.delivery_id for each in claims] == [notice().delivery_id(other.id)]
    ended = logged_deliveries(engine, webhook_id=made.id, limit=200)
    assert [(each.status, each.attempts) for each in ended] == [("removed", 0)] * 200
    with reading(engine) as connection:
        bodies = connection.execute(select(DELIVERIES.c.body).where(DELIVERIES.c.webhook_id == made.id)).scalars()
        assert set(bodies) == {None}, "the log keeps no texts"


def test_the_log_forgets_what_is_old_and_only_that(engine: Engine) -> None:
    made = webhook(engine)
    enqueue(engine, [(made, notice(number)) for number in range(3)], NOW)
    for each in claimed(engine)[:2]:
        record(engine, each, attempt(200), None)
    assert forget_before(engine, NOW) == 0
    assert forget_before(engine, NOW + 60 * _SECOND) == 2
    assert [each.status for each in logged_deliveries(engine)] == ["pending"]
    with reading(engine) as connection:
        assert connection.execute(select(ATTEMPTS)).all() == []
