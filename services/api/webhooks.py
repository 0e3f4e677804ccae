"""A user's own webhooks: registered, listed, given new secrets, ended, and their deliveries sent again."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from schemas.document import Document
from services.api.errors import ApiError
from services.api.stores import in_thread
from services.api.waiters import InFlight
from services.webhook_registry import registry
from services.webhook_registry.addresses import ForbiddenAddress
from services.webhook_registry.log import (
    LoggedDelivery,
    UnknownDelivery,
    logged_deliveries,
    logged_delivery,
    send_again,
)
from services.webhook_registry.payloads import CannotTellAgain, body_of_document
from services.webhook_registry.registry import InvalidWebhook, UnknownWebhook, Webhook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

_LOOKUP_SECONDS_MAX = 5.0


class Webhooks:
    """Whose webhook it is is judged here: another user's is one that does not exist."""

    def __init__(
        self,
        engine: Engine,
        database: Executor,
        lookups: Executor,
        check_url: Callable[[str], None],
        document: "Callable[[str, str], Awaitable[Document | None]]",
        *,
        secret_overlap: timedelta,
        lookups_in_flight: InFlight,
        lookup_seconds_max: float = _LOOKUP_SECONDS_MAX,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`check_url` raises `ForbiddenAddress`; it looks names up, in threads of its own, `lookups`."""
        self._engine = engine
        self._database = database
        self._lookups = lookups
        self._check_url = check_url
        self._document = document
        self._secret_overlap = secret_overlap
        self._lookups_in_flight = lookups_in_flight
        self._lookup_seconds_max = lookup_seconds_max
        self._now = now

    async def add(self, user_id: str, url: str, event_types: Collection[str]) -> Webhook:
        """Registers an address.

        Raises:
            ApiError: `invalid_webhook`: it may not point there, or there are too many.
            Overloaded: too many names are being looked up.
            DatabaseUnavailable: nothing was registered.
        """
        with _refusals():
            await self._check(user_id, url)
            return await in_thread(
                self._database, registry.add_webhook, self._engine, user_id, url, event_types, self._now()
            )

    async def list(self, user_id: str) -> Sequence[Webhook]:
        """All of a user's, oldest first. Raises `DatabaseUnavailable`."""
        return await in_thread(self._database, registry.list_webhooks, self._engine, user_id)

    async def remove(self, user_id: str, webhook_id: str) -> None:
        """Ends one. Raises `ApiError`, `webhook_not_found`; `DatabaseUnavailable`."""
        await self._own(user_id, webhook_id)
        with _refusals():
            await in_thread(self._database, registry.remove_webhook, self._engine, webhook_id, self._now())

    async def rotate(self, user_id: str, webhook_id: str) -> tuple[str, datetime]:
        """A new secret, and until when the old one signs, too. Raises as `remove`."""
        await self._own(user_id, webhook_id)
        with _refusals():
            return await in_thread(
                self._database, registry.rotate_secret, self._engine, webhook_id, self._secret_overlap, self._now()
            )

    async def deliveries(
        self, user_id: str, webhook_id: str, status: str | None, limit: int
    ) -> Sequence[LoggedDelivery]:
        """The newest lines of its log. Raises as `remove`."""
        await self._own(user_id, webhook_id)
        statuses = [status] if status else []
        return await in_thread(
            self._database, logged_deliveries, self._engine, webhook_id=webhook_id, statuses=statuses, limit=limit
        )

    async def send_again(self, user_id: str, webhook_id: str, delivery_id: str) -> None:
        """Makes a delivery due again.

        Raises:
            ApiError: `webhook_not_found`; `result_deleted`, where there is nothing any more that could be told.
            TransientError: a dependency is down; again is the same.
        """
        await self._own(user_id, webhook_id)
        with _refusals():
            logged = await in_thread(self._database, logged_delivery, self._engine, delivery_id)
            if logged.webhook_id != webhook_id:
                raise UnknownDelivery(delivery_id)
            document = await self._document(user_id, logged.result_id)
            body = body_of_document(document, logged.event_type, webhook_id)
            await in_thread(self._database, send_again, self._engine, delivery_id, body, self._now())

    async def _check(self, user_id: str, url: str) -> None:
        # Who asked is answered in time; a thread cannot be called off, and keeps its place until it is done.
        looking = asyncio.ensure_future(self._look_up(user_id, url))
        looking.add_done_callback(_take_note)
        done, _ = await asyncio.wait({looking}, timeout=self._lookup_seconds_max)
        if not done:
            raise ForbiddenAddress("the host could not be looked up in time")
        looking.result()

    async def _look_up(self, user_id: str, url: str) -> None:
        with self._lookups_in_flight.slot(user_id):
            await in_thread(self._lookups, self._check_url, url)

    async def _own(self, user_id: str, webhook_id: str) -> None:
        with _refusals():
            found = await in_thread(self._database, registry.find_webhook, self._engine, webhook_id)
            if found.user_id != user_id:
                raise UnknownWebhook(webhook_id)


@contextmanager
def _refusals() -> "Iterator[None]":
    """Gives what the registry refuses the API's codes."""
    try:
        yield
    except (ForbiddenAddress, InvalidWebhook) as error:
        text = str(error)
        raise ApiError("invalid_webhook", text[:1].upper() + text[1:]) from error
    except (UnknownWebhook, UnknownDelivery) as error:
        raise ApiError("webhook_not_found") from error
    except CannotTellAgain as error:
        raise ApiError("result_deleted", str(error)) from error


def _take_note(looking: "asyncio.Future[None]") -> None:
    # Who asked may be gone by then; asyncio would log an error that nobody took as a fault.
    if not looking.cancelled():
        looking.exception()
