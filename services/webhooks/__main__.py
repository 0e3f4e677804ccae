"""`python -m services.webhooks`: settings → objects → run."""

import asyncio
import logging
import sys
import threading
from contextlib import suppress
from threading import Event

from sqlalchemy import Engine

from services.runtime.database import create_database
from services.runtime.dead_letters import DeadLetters
from services.runtime.errors import DatabaseUnavailable
from services.runtime.health import HealthServer, Liveness
from services.runtime.kafka import create_producer
from services.runtime.logs import configure_logs
from services.runtime.migrations import missing_migration
from services.runtime.settings import DatabaseSettings, KafkaSettings, ProcessSettings
from services.runtime.shutdown import stop_on_signals
from services.runtime.tracing import configure_tracing
from services.webhook_registry.addresses import AddressPolicy
from services.webhook_registry.settings import WebhookSettings
from services.webhooks.consumer import ResultConsumer
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.sending import Sender

_log = logging.getLogger("services.webhooks")


class Webhooks:
    """One replica: a thread that reads results, and the loop that sends."""

    def __init__(self, engine: Engine, kafka: KafkaSettings, settings: WebhookSettings) -> None:
        self._engine = engine
        self._settings = settings
        self.liveness = Liveness()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dispatcher: Dispatcher | None = None
        dead_letters = DeadLetters(create_producer(kafka, linger_ms=5))
        self._consumer = ResultConsumer(kafka, engine, dead_letters, self._wake)
        self._failed = False

    def problem(self) -> str | None:
        """What it lacks; None when it is ready."""
        if not self._consumer.assigned.is_set():
            return "no partition of the results is assigned yet"
        try:
            return missing_migration(self._engine)
        except DatabaseUnavailable as error:
            return f"the database cannot be reached: {error}"

    def run(self, stop: Event) -> bool:
        """Works until `stop` is set; true when it was, false when a part failed."""
        reading = threading.Thread(target=self._read, args=(stop,), name="results")
        reading.start()
        try:
            asyncio.run(self._send(stop))
        finally:
            stop.set()
            reading.join()
            self._engine.dispose()
        return not self._failed

    def _read(self, stop: Event) -> None:
        try:
            self._consumer.run(stop)
        except Exception:
            _log.exception("the webhooks stop")
            self._failed = True
            stop.set()

    async def _send(self, stop: Event) -> None:
        settings = self._settings
        sender = Sender(AddressPolicy.of(settings.allowed_networks), attempt_seconds_max=settings.attempt_seconds_max)
        self._dispatcher = Dispatcher(self._engine, sender, settings, self.liveness)
        self._loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        threading.Thread(target=self._end, args=(stop, self._loop, stopping), name="end").start()
        try:
            await self._dispatcher.run(stopping)
        finally:
            self._loop = None
            stop.set()
            await sender.close()

    def _end(self, stop: Event, loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
        """Tells the loop of the end, from a thread that waits for it."""
        stop.wait()
        with suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(stopping.set)

    def _wake(self) -> None:
        """From the reading thread."""
        loop, dispatcher = self._loop, self._dispatcher
        if loop is not None and dispatcher is not None:
            loop.call_soon_threadsafe(dispatcher.wake)


def main() -> None:
    """Runs the webhooks with the settings of the environment, until a signal."""
    process = ProcessSettings()
    configure_logs("webhooks", process)
    configure_tracing("webhooks")
    webhooks = Webhooks(create_database(DatabaseSettings()), KafkaSettings(), WebhookSettings())
    health = HealthServer(process.health_host, process.health_port, webhooks.liveness, webhooks.problem)
    health.start()
    well = webhooks.run(stop_on_signals())
    health.close()
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
