"""The log of deliveries: how each went, and sending one again on demand."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Engine, RowMapping, Select, select, update

from services.runtime.database import reading, transaction
from services.webhook_registry.tables import ATTEMPTS, DELIVERIES, WEBHOOKS


class UnknownDelivery(LookupError):
    """There is no delivery of this id, or its webhook was removed, or the log has forgotten it."""


@dataclass(frozen=True)
class Attempt:
    """How one attempt went; a status where an answer came, else what kept it from coming."""

    started_at: datetime
    milliseconds: int
    status_code: int | None
    error: str | None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.status_code is not None and 200 <= self.status_code < 300


@dataclass(frozen=True)
class LoggedDelivery:
    """A delivery as the log shows it, with its last attempt."""

    id: str
    webhook_id: str
    user_id: str
    event_type: str
    result_id: str
    status: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    last: Attempt | None


_NAMES = [each.name for each in fields(LoggedDelivery) if each.name != "last"]


def logged_deliveries(
    engine: Engine, *, webhook_id: str | None = None, statuses: Collection[str] = (), limit: int = 50
) -> Sequence[LoggedDelivery]:
    """The log, newest first. Raises `DatabaseUnavailable`."""
    query = _log().order_by(DELIVERIES.c.created_at.desc(), DELIVERIES.c.id).limit(limit)
    if webhook_id is not None:
        query = query.where(DELIVERIES.c.webhook_id == webhook_id)
    if statuses:
        query = query.where(DELIVERIES.c.status.in_(statuses))
    with reading(engine) as connection:
        return [_logged(row) for row in connection.execute(query).mappings()]


def logged_delivery(engine: Engine, delivery_id: str) -> LoggedDelivery:
    """One delivery.

    Raises:
        UnknownDelivery: there is none.
        DatabaseUnavailable: it cannot be looked up.
    """
    with reading(engine) as connection:
        row = connection.execute(_log().where(DELIVERIES.c.id == delivery_id)).mappings().first()
    if row is None:
        raise UnknownDelivery(delivery_id)
    return _logged(row)


def send_again(engine: Engine, delivery_id: str, body: str, now: datetime) -> None:
    """Makes a delivery that has ended due again, with as many attempts as a new one; one that is pending stays so.

    `body` has to be what was sent at first: the log keeps none.

    Raises:
        UnknownDelivery: there is none, or its webhook was removed.
        DatabaseUnavailable: it may be due or not; again is the same.
    """
    active = select(WEBHOOKS.c.id).where(WEBHOOKS.c.removed_at.is_(None))
    here = (DELIVERIES.c.id == delivery_id) & DELIVERIES.c.webhook_id.in_(active)
    due = {
        "status": "pending",
        "body": body,
        "attempts_before": DELIVERIES.c.attempts,
        "next_attempt_at": now,
        "ended_at": None,
    }
    with transaction(engine) as connection:
        if connection.execute(select(DELIVERIES.c.id).where(here)).first() is None:
            raise UnknownDelivery(delivery_id)
        connection.execute(update(DELIVERIES).where(here, DELIVERIES.c.status != "pending").values(due))


def _log() -> Select[tuple[object, ...]]:
    last = (ATTEMPTS.c.delivery_id == DELIVERIES.c.id) & (ATTEMPTS.c.number == DELIVERIES.c.attempts)
    columns = (*DELIVERIES.c, ATTEMPTS.c.started_at, ATTEMPTS.c.milliseconds, ATTEMPTS.c.status_code, ATTEMPTS.c.error)
    return select(*columns).outerjoin(ATTEMPTS, last)


def _logged(row: RowMapping) -> LoggedDelivery:
    last = None
    if row["started_at"] is not None:
        last = Attempt(row["started_at"], row["milliseconds"], row["status_code"], row["error"])
    return LoggedDelivery(**{name: row[name] for name in _NAMES}, last=last)
