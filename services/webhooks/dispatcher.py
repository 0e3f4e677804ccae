"""The loop that sends what is due: many deliveries at a time, few of any one user."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from services.runtime import tracing
from services.runtime.errors import DatabaseUnavailable
from services.runtime.health import Liveness
from services.runtime.metrics import WEBHOOK_ATTEMPTS, WEBHOOK_SECONDS, WEBHOOKS_ABANDONED
from services.webhook_registry.log import Attempt
from services.webhook_registry.settings import WebhookSettings
from services.webhooks.deliveries import Claim, claim, forget_before, record
from services.webhooks.schedule import Schedule
from services.webhooks.sending import Sender

_log = logging.getLogger(__name__)

_LEASE_SLACK = timedelta(seconds=30)
_FORGET_EVERY = timedelta(hours=1)


class Dispatcher:
    """Runs in one event loop. Blocking calls of the database are made in threads."""

    def __init__(
        self,
        engine: Engine,
        sender: Sender,
        settings: WebhookSettings,
        liveness: Liveness,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._sender = sender
        self._settings = settings
        self._schedule = Schedule(settings.attempts_max, settings.backoff_seconds_first, settings.backoff_seconds_max)
        self._liveness = liveness
        self._now = now
        self._lease = timedelta(seconds=settings.attempt_seconds_max) + _LEASE_SLACK
        self._under_way: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._forget_at = now()

    def wake(self) -> None:
        """Something may be due. From the loop's own thread."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Sends until it is to stop, then lets what is under way end."""
        while not stopping.is_set():
            self._liveness.tick()
            self._wake.clear()
            try:
                started = await self._start_what_is_due()
                await self._forget()
            except DatabaseUnavailable as error:
                _log.warning("deliveries wait for the database: %s", error)
                started = 0
            if not started:
                await self._idle(stopping)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _start_what_is_due(self) -> int:
        free = self._settings.in_flight_max - len(self._tasks)
        if free <= 0:
            return 0
        busy = {user_id: count for user_id, count in self._under_way.items() if count > 0}
        claimed = await asyncio.to_thread(
            claim,
            self._engine,
            busy,
            per_user_max=self._settings.in_flight_per_user_max,
            count=free,
            lease=self._lease,
            now=self._now(),
        )
        for each in claimed:
            self._under_way[each.user_id] += 1
            task = asyncio.create_task(self._deliver(each))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(claimed)

    async def _deliver(self, claimed: Claim) -> None:
        try:
            attempt = await self._attempt(claimed)
            pause = None if attempt.is_delivered else self._schedule.pause_seconds(claimed.attempt_of_this_time)
            outcome = "delivered" if attempt.is_delivered else "failed" if pause is None else "retried"
            WEBHOOK_ATTEMPTS.labels(outcome=outcome).inc()
            WEBHOOK_SECONDS.observe(attempt.milliseconds / 1000)
            _log.log(
                logging.WARNING if outcome == "failed" else logging.INFO,
                "webhook attempt",
                extra={
                    "delivery_id": claimed.delivery_id,
                    "attempt": claimed.attempt,
                    "outcome": outcome,
                    "status": attempt.status_code,
                    "reason": attempt.error,
                },
            )
            await asyncio.to_thread(record, self._engine, claimed, attempt, pause)
            if outcome == "failed":
                # Only once it is written down: until then the delivery is due again.
                WEBHOOKS_ABANDONED.inc()
        except DatabaseUnavailable as error:
            # It is due again when its lease is over: the receiver may get it twice, with the same id.
            _log.warning("an attempt could not be written down: %s", error)
        except Exception:
            _log.exception("an attempt met an unexpected error; it is due again when its lease is over")
        finally:
            self._under_way[claimed.user_id] -= 1
            self._wake.set()

    async def _attempt(self, claimed: Claim) -> Attempt:
        """An attempt, and its span in the trace of the result; the receiver is sent its context."""
        span = tracing.span("deliver webhook", kind=tracing.Kind.CLIENT, parent=claimed.traceparent)
        with span, tracing.Current(span.traceparent):
            attempt = await self._sender.attempt(claimed)
            span.set("ocr.delivery_id", claimed.delivery_id)
            span.set("ocr.attempt", claimed.attempt)
            if attempt.status_code is not None:
                span.set("http.response.status_code", attempt.status_code)
            if not attempt.is_delivered:
                span.fail(attempt.error or f"status {attempt.status_code}")
            return attempt

    async def _forget(self) -> None:
        if self._now() < self._forget_at:
            return
        self._forget_at = self._now() + _FORGET_EVERY
        before = self._now() - timedelta(days=self._settings.log_days)
        count = await asyncio.to_thread(forget_before, self._engine, before)
        if count:
            _log.info("forgot old deliveries", extra={"count": count})

    async def _idle(self, stopping: asyncio.Event) -> None:
        waits = [asyncio.create_task(each.wait()) for each in (self._wake, stopping)]
        await asyncio.wait(waits, timeout=self._settings.poll_seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
