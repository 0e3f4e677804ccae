"""Who wants to be told of what, and where: the registrations in SQL."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine, RowMapping, insert, select, update

from schemas.identity import is_user_id
from services.runtime.database import reading, transaction
from services.webhook_registry.payloads import EVENT_TYPES
from services.webhook_registry.signing import new_secret
from services.webhook_registry.tables import DELIVERIES, WEBHOOKS

PER_USER_MAX = 10


class InvalidWebhook(ValueError):
    """What somebody wants to register cannot be; its text says why."""


class UnknownWebhook(LookupError):
    """There is no webhook of this id, or it was removed."""


@dataclass(frozen=True)
class Webhook:
    """One registration."""

    id: str
    user_id: str
    url: str
    secret: str = field(repr=False)
    event_types: frozenset[str]
    created_at: datetime


def add_webhook(engine: Engine, user_id: str, url: str, event_types: Collection[str], now: datetime) -> Webhook:
    """Registers a URL that has been judged already; from now on its user's results are told there.

    Raises:
        InvalidWebhook: an impossible user id or event type, or too many webhooks of this user.
        DatabaseUnavailable: nothing was registered.
    """
    if not is_user_id(user_id):
        raise InvalidWebhook(f"{user_id!r} is no user id")
    unknown = sorted(set(event_types) - set(EVENT_TYPES.values()))
    if unknown or not event_types:
        raise InvalidWebhook(f"event types are {', '.join(EVENT_TYPES.values())}; not {', '.join(unknown) or 'none'}")
    webhook = Webhook(str(uuid.uuid4()), user_id, url, new_secret(), frozenset(event_types), now)
    with transaction(engine) as connection:
        if len(connection.execute(_active(user_id)).all()) >= PER_USER_MAX:
            raise InvalidWebhook(f"a user has at most {PER_USER_MAX} webhooks: remove one first")
        connection.execute(
            insert(WEBHOOKS).values(
                id=webhook.id,
                user_id=user_id,
                url=url,
                secret=webhook.secret,
                event_types=" ".join(sorted(event_types)),
                created_at=now,
            )
        )
    return webhook


def remove_webhook(engine: Engine, webhook_id: str, now: datetime) -> None:
    """Tells it nothing more, not even what is pending; its log stays.

    Raises:
        UnknownWebhook: there is none.
        DatabaseUnavailable: it may be removed or not.
    """
    with transaction(engine) as connection:
        here = (WEBHOOKS.c.id == webhook_id) & WEBHOOKS.c.removed_at.is_(None)
        if connection.execute(update(WEBHOOKS).where(here).values(removed_at=now)).rowcount != 1:
            raise UnknownWebhook(webhook_id)
        pending = (DELIVERIES.c.webhook_id == webhook_id) & (DELIVERIES.c.status == "pending")
        connection.execute(update(DELIVERIES).where(pending).values(ended_by_removal(now)))


def ended_by_removal(now: datetime) -> dict[str, object]:
    """The columns of a delivery whose webhook is removed, as they change."""
    return {"status": "removed", "ended_at": now, "body": None}


def rotate_secret(engine: Engine, webhook_id: str, overlap: timedelta, now: datetime) -> tuple[str, datetime]:
    """Gives it a new secret and returns it, with the moment until which the one before signs beside it.

    Rotated again within that time, it is the newest two that sign.

    Raises:
        UnknownWebhook: there is none.
        DatabaseUnavailable: the secret may be new or not; rotate again.
    """
    secret, until = new_secret(), now + overlap
    changed = {"secret": secret, "previous_secret": WEBHOOKS.c.secret, "previous_secret_until": until}
    with transaction(engine) as connection:
        here = (WEBHOOKS.c.id == webhook_id) & WEBHOOKS.c.removed_at.is_(None)
        if connection.execute(update(WEBHOOKS).where(here).values(changed)).rowcount != 1:
            raise UnknownWebhook(webhook_id)
    return secret, until


def find_webhook(engine: Engine, webhook_id: str) -> Webhook:
    """One webhook. Raises `UnknownWebhook`, `DatabaseUnavailable`."""
    with reading(engine) as connection:
        row = connection.execute(_active(None).where(WEBHOOKS.c.id == webhook_id)).mappings().first()
    if row is None:
        raise UnknownWebhook(webhook_id)
    return _webhook(row)


def list_webhooks(engine: Engine, user_id: str | None = None) -> Sequence[Webhook]:
    """All webhooks, or one user's, oldest first. Raises `DatabaseUnavailable`."""
    with reading(engine) as connection:
        return [_webhook(row) for row in connection.execute(_active(user_id)).mappings()]


def webhooks_of(engine: Engine, user_ids: Collection[str]) -> Mapping[str, Sequence[Webhook]]:
    """The webhooks of some users, by user. Raises `DatabaseUnavailable`."""
    found: dict[str, list[Webhook]] = {}
    with reading(engine) as connection:
        for row in connection.execute(_active(None).where(WEBHOOKS.c.user_id.in_(user_ids))).mappings():
            found.setdefault(row["user_id"], []).append(_webhook(row))
    return found


def _active(user_id: str | None):  # type: ignore[no-untyped-def]  # a Select, whose type names every column's
    query = select(WEBHOOKS).where(WEBHOOKS.c.removed_at.is_(None)).order_by(WEBHOOKS.c.created_at, WEBHOOKS.c.id)
    return query if user_id is None else query.where(WEBHOOKS.c.user_id == user_id)


def _webhook(row: RowMapping) -> Webhook:
    types = frozenset(row["event_types"].split())
    return Webhook(row["id"], row["user_id"], row["url"], row["secret"], types, row["created_at"])
