"""Deliveries in SQL: what is to be sent, what is under way, and how each attempt went.

An attempt is claimed before it is made: the claim counts it, and moves the delivery's due time behind the end of the
attempt. Of several replicas one wins the claim; one that dies in the middle of an attempt loses it to the next claim.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, RowMapping, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.runtime.database import reading, transaction
from services.webhook_registry.log import Attempt
from services.webhook_registry.payloads import Notice
from services.webhook_registry.registry import Webhook, ended_by_removal
from services.webhook_registry.tables import ATTEMPTS, DELIVERIES, WEBHOOKS

_CLAIM_MAX = 64
_ERROR_CHARACTERS_MAX = 500


@dataclass(frozen=True)
class Claim:
    """One attempt that is this replica's to make."""

    delivery_id: str
    user_id: str
    url: str
    secrets: tuple[str, ...]
    """The newest first; the one before it while its time lasts."""
    body: bytes
    attempt: int
    """As the log numbers it."""
    traceparent: str | None = None
    attempts_before: int = 0
    """Those before it was sent again on demand."""

    @property
    def attempt_of_this_time(self) -> int:
        """What patience is counted by."""
        return self.attempt - self.attempts_before


def enqueue(engine: Engine, notices: Iterable[tuple[Webhook, Notice]], now: datetime) -> int:
    """Writes what is to be delivered, each once however often it is written; returns how many were new.

    Raises:
        DatabaseUnavailable: all or none of them are written.
    """
    rows = [_row(webhook, notice, now) for webhook, notice in notices]
    if not rows:
        return 0
    with transaction(engine) as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(DELIVERIES).on_conflict_do_nothing(index_elements=["id"])
        counted = connection.execution_options(preserve_rowcount=True)  # drivers need not count inserts
        return sum(counted.execute(statement.values(row)).rowcount for row in rows)


def claim(
    engine: Engine, busy: Mapping[str, int], *, per_user_max: int, count: int, lease: timedelta, now: datetime
) -> Sequence[Claim]:
    """Takes over up to `count` attempts that are due, at most `per_user_max` of a user, those under way included.

    What is due to a removed webhook is not taken over, and ends.

    Raises:
        DatabaseUnavailable: some may be claimed; they are due again when their lease is over.
    """
    full = [user_id for user_id, under_way in busy.items() if under_way >= per_user_max]
    due = (
        select(
            DELIVERIES,
            WEBHOOKS.c.url,
            WEBHOOKS.c.secret,
            WEBHOOKS.c.previous_secret,
            WEBHOOKS.c.previous_secret_until,
            WEBHOOKS.c.removed_at,
        )
        .join(WEBHOOKS, WEBHOOKS.c.id == DELIVERIES.c.webhook_id)
        .where(DELIVERIES.c.status == "pending", DELIVERIES.c.next_attempt_at <= now)
        .order_by(DELIVERIES.c.next_attempt_at)
        .limit(_CLAIM_MAX)
    )
    if full:
        # A flood of one user's does not hide what is due for others.
        due = due.where(DELIVERIES.c.user_id.not_in(full))
    with reading(engine) as connection:
        rows = connection.execute(due).mappings().all()
    if not rows:
        return []
    taken: list[Claim] = []
    free = {user_id: per_user_max - under_way for user_id, under_way in busy.items()}
    with transaction(engine) as connection:
        for row in rows:
            here = (DELIVERIES.c.id == row["id"]) & (DELIVERIES.c.status == "pending")
            if row["removed_at"] is not None:
                # It was enqueued while its webhook was removed, by who had looked the webhook up before.
                connection.execute(update(DELIVERIES).where(here).values(ended_by_removal(now)))
                continue
            left = free.get(row["user_id"], per_user_max)
            if left <= 0 or len(taken) >= count:
                continue
            unclaimed = here & (DELIVERIES.c.attempts == row["attempts"])
            changed = {"attempts": row["attempts"] + 1, "next_attempt_at": now + lease}
            if connection.execute(update(DELIVERIES).where(unclaimed).values(changed)).rowcount != 1:
                continue
            free[row["user_id"]] = left - 1
            taken.append(_claim(row, now))
    return taken


def record(engine: Engine, claimed: Claim, attempt: Attempt, pause_seconds: float | None) -> None:
    """Writes how an attempt went: delivered, due again after the pause, or, without a pause, given up.

    Raises:
        DatabaseUnavailable: the delivery is due again when its lease is over.
    """
    ended_at = attempt.started_at + timedelta(milliseconds=attempt.milliseconds)
    changed: dict[str, object] = {"next_attempt_at": ended_at + timedelta(seconds=pause_seconds or 0.0)}
    if attempt.is_delivered or pause_seconds is None:
        # The log keeps no texts.
        changed |= {"status": "delivered" if attempt.is_delivered else "failed", "ended_at": ended_at, "body": None}
    with transaction(engine) as connection:
        here = (DELIVERIES.c.id == claimed.delivery_id) & (DELIVERIES.c.attempts == claimed.attempt)
        connection.execute(update(DELIVERIES).where(here, DELIVERIES.c.status == "pending").values(changed))
        connection.execute(
            insert(ATTEMPTS).values(
                delivery_id=claimed.delivery_id,
                number=claimed.attempt,
                started_at=attempt.started_at,
                milliseconds=attempt.milliseconds,
                status_code=attempt.status_code,
                error=attempt.error and attempt.error[:_ERROR_CHARACTERS_MAX],
            )
        )


def forget_before(engine: Engine, moment: datetime) -> int:
    """Removes what ended before `moment` from the log; returns how many. Raises `DatabaseUnavailable`."""
    old = select(DELIVERIES.c.id).where(DELIVERIES.c.ended_at < moment)
    with transaction(engine) as connection:
        connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.delivery_id.in_(old)))
        return connection.execute(delete(DELIVERIES).where(DELIVERIES.c.ended_at < moment)).rowcount


def _claim(row: RowMapping, now: datetime) -> Claim:
    until = row["previous_secret_until"]
    previous = (row["previous_secret"],) if until is not None and until > now else ()
    return Claim(
        delivery_id=row["id"],
        user_id=row["user_id"],
        url=row["url"],
        secrets=(row["secret"], *previous),
        body=row["body"].encode(),
        attempt=row["attempts"] + 1,
        traceparent=row["traceparent"],
        attempts_before=row["attempts_before"],
    )


def _row(webhook: Webhook, notice: Notice, now: datetime) -> dict[str, object]:
    return {
        "id": notice.delivery_id(webhook.id),
        "webhook_id": webhook.id,
        "user_id": webhook.user_id,
        "event_type": notice.event_type,
        "result_id": notice.result_id,
        "body": notice.body(webhook.id),
        "status": "pending",
        "attempts": 0,
        "next_attempt_at": now,
        "created_at": now,
        "traceparent": notice.traceparent,
    }
