"""The embedded stack: parts, database, topics, buckets, notifications and services, in the order they need each other.

What starts later needs what starts earlier, so everything stops in the reverse order. A dead service is started
again by itself, a dead object store with its wiring; a dead broker takes all events along, so the services start anew
with it.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.local.accounts import LocalUser, ensure_local_user
from services.local.broker import EmbeddedBroker
from services.local.database import forget_offsets, list_what_was_missed, migrate_database
from services.local.environment import RESULTS_BUCKET, UPLOADS_BUCKET, settings_from, shared_environment
from services.local.layout import Layout
from services.local.object_store import EmbeddedObjectStore
from services.local.process import ProcessNotReadyError
from services.local.restarting import Report, Restarter
from services.local.services import Service, queue_settings, services
from services.local.wiring import allow_browsers, notify_queue
from services.runtime.errors import TransientError
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.provisioning import ensure_bucket, provision_topics
from services.runtime.settings import KafkaSettings, ObjectStoreSettings

_READY_SECONDS_MAX = 120.0
_WATCH_INTERVAL_SECONDS = 0.2
_STOP_GRACE_SECONDS = 30.0


class StoppedWhileStarting(Exception):
    """Somebody asked the stack to stop before it was ready."""


class Stack:
    """Broker, object store, database and services on one machine. Start and watch it from the main thread."""

    def __init__(self, directory: Path, report: Report, stop: threading.Event, api_port: int | None = None) -> None:
        self.layout = Layout(directory.resolve())
        self._report = report
        self._stop = stop
        self._api_port = api_port
        self.broker = EmbeddedBroker(self.layout.programs, self.layout.logs / "broker.log")
        self.store = EmbeddedObjectStore(self.layout.objects, self.layout.logs / "object-store.log")
        self.environment: Mapping[str, str] = shared_environment(self.layout, self.broker, self.store)
        self.services: list[Service] = []
        self._restarter = Restarter([], report)

    @property
    def api_url(self) -> str:
        """The base URL of the HTTP API."""
        return f"http://127.0.0.1:{self._service('api').port}"

    @property
    def workers(self) -> list[Service]:
        """The services that work on topics: all but the API."""
        return [service for service in self.services if service.name != "api"]

    def start(self) -> LocalUser:
        """Starts everything and returns once every service says that it is ready.

        Raises:
            StoppedWhileStarting: the stop event was set meanwhile.
            ProcessNotReadyError: a part or a service did not get ready; its log is in the message.
        """
        self.layout.set_logs_aside()
        shutil.rmtree(self.layout.spool, ignore_errors=True)
        self.layout.spool.mkdir(parents=True)
        with self._step("object store"):
            self.store.start()
        with self._step("broker"):
            self.broker.start()
        with self._step("database"):
            migrate_database(self.environment)
            user = ensure_local_user(self.layout, self.environment)
        with self._step("topics, buckets and notifications"):
            self._provision_broker()
            queue_url = self._wire_store()
            self._list_what_was_missed()
        self.services = services(self.layout, self.environment, queue_url, self._api_port)
        self._restarter = Restarter([service.process for service in self.services], self._report)
        with self._step("services"):
            self._restarter.start()
            self._wait_for_services()
        self._tell_settings(queue_url)
        return user

    def watch(self) -> None:
        """Restarts what dies, until the stop event is set."""
        while not self._stop.wait(_WATCH_INTERVAL_SECONDS):
            if not self.broker.process.is_running():
                self._replace_broker()
            if not self.store.process.is_running():
                self._replace_store()
            self._restarter.tick()

    def stop(self) -> None:
        """Stops the services with time to finish their work, then the parts; nothing is left running."""
        self.layout.stack.unlink(missing_ok=True)
        self._restarter.stop(_STOP_GRACE_SECONDS)
        self.broker.stop()
        self.store.stop()

    def _provision_broker(self) -> None:
        """Topics on an empty broker, and the offsets in SQL to match it."""
        provision_topics(settings_from(KafkaSettings, self.environment))
        forget_offsets(self.environment)

    def _list_what_was_missed(self) -> None:
        try:
            list_what_was_missed(self.environment)
        except TransientError as error:  # the store may have died along with the broker
            self._report(f"the list of results may lack some until the next start: {error}")

    def _wire_store(self) -> str:
        """Buckets (the store forgets empty ones), CORS and notifications; returns the queue's URL."""
        store = ObjectStore(create_client(settings_from(ObjectStoreSettings, self.environment)))
        for bucket in (UPLOADS_BUCKET, RESULTS_BUCKET):
            ensure_bucket(store, bucket)
        allow_browsers(self.store, UPLOADS_BUCKET)
        return notify_queue(self.store, UPLOADS_BUCKET)

    def _tell_settings(self, queue_url: str) -> None:
        """Lets `ocr-services doctor --data` see what the services see; readable by the owner alone."""
        given = {**self.environment, **queue_settings(self.environment, queue_url)}
        self.layout.stack.unlink(missing_ok=True)
        handle = os.open(self.layout.stack, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump({name: value for name, value in given.items() if name.startswith("OCR_")}, file, indent=2)

    def _replace_broker(self) -> None:
        self._report(f"the broker ended with status {self.broker.process.exit_status}; all services start anew with it")
        self._restarter.kill()
        self.broker.start()
        self._provision_broker()
        self._list_what_was_missed()
        self._restarter = Restarter([service.process for service in self.services], self._report)
        self._restarter.start()

    def _replace_store(self) -> None:
        self._report(f"the object store ended with status {self.store.process.exit_status}; it starts again")
        self.store.start()
        self._wire_store()

    def _wait_for_services(self) -> None:
        waiting = {service.name: service for service in self.services}
        deadline = time.monotonic() + _READY_SECONDS_MAX
        while waiting:
            if self._stop.wait(0.1):
                raise StoppedWhileStarting
            self._restarter.tick()
            problems = {name: service.problem() for name, service in waiting.items()}
            for name in [name for name, problem in problems.items() if problem is None]:
                self._report(f"  {name} is ready")
                del waiting[name]
            if waiting and time.monotonic() > deadline:
                name, service = next(iter(waiting.items()))
                raise ProcessNotReadyError(f"{name} {problems[name]}:\n{service.process.log_tail()}")

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        if self._stop.is_set():
            raise StoppedWhileStarting
        started = time.monotonic()
        yield
        self._report(f"{title}: {time.monotonic() - started:.1f} s")

    def _service(self, name: str) -> Service:
        return next(service for service in self.services if service.name == name)
