"""Intake: settings → sources and reconciler → run until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from schemas.topics import OBJECT_STORE_EVENTS
from services.intake.kafka_topic import KafkaTopicSource
from services.intake.lag import UploadLag
from services.intake.leadership import Leadership
from services.intake.pace import Pace
from services.intake.recent import RecentRequests
from services.intake.reconciler import Reconciler
from services.intake.requesting import UploadRequester
from services.intake.settings import IntakeSettings
from services.intake.sqs import SqsSource, create_sqs_client
from services.intake.sweep import Buckets, UserSweep
from services.intake.threads import Loops
from services.intake.top_ups import TopUps
from services.runtime.admission import BalanceReader, BalanceTable
from services.runtime.health import HealthServer
from services.runtime.kafka import create_producer, topic_name
from services.runtime.logs import configure_logs
from services.runtime.object_store import connect
from services.runtime.producing import EventProducer
from services.runtime.settings import AdmissionSettings, KafkaSettings, ObjectStoreSettings, ProcessSettings
from services.runtime.shutdown import stop_on_signals
from services.runtime.tracing import configure_tracing

if TYPE_CHECKING:
    from services.intake.http_push import HttpPushServer

_LIVENESS_SECONDS = 120.0
_DRAIN_SECONDS = 25.0

Problem = Callable[[], str | None]


class Intake:
    """The objects of this process, wired; a source that is off costs nothing."""

    def __init__(
        self, settings: IntakeSettings, kafka: KafkaSettings, store: ObjectStoreSettings, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._kafka = kafka
        self._buckets = Buckets(store.uploads_bucket, store.results_bucket)
        self._stop = stop
        self._store = connect(store)
        self._raw_producer = create_producer(kafka, linger_ms=5)
        self._producer = EventProducer(self._raw_producer, kafka, "intake")
        self._requester = UploadRequester(
            partial(self._store.head, store.uploads_bucket),
            self._producer,
            bucket=store.uploads_bucket,
            spread=kafka.upload_spread,
            heads_parallel=settings.heads_parallel,
        )
        self._problems: list[Problem] = [self._requester.problem]
        self._loops = Loops(stop, _LIVENESS_SECONDS + settings.sqs_visibility_seconds)
        self._closers: list[Callable[[], None]] = []
        self._http_server: HttpPushServer | None = None
        self._leadership: Leadership | None = None

    def start(self) -> None:
        """Begins to listen to every source that is on, and to reconcile."""
        if self._settings.kafka_enabled:
            self._start_kafka()
        if self._settings.sqs_queue_url:
            self._start_sqs(self._settings.sqs_queue_url)
        if self._settings.http_port is not None:
            self._start_http(self._settings.http_port)
        if self._settings.reconciler_enabled:
            self._start_reconciler()

    def live(self) -> str | None:
        """The loop that hangs, None when all go round."""
        return self._loops.live()

    def ready(self) -> str | None:
        """The first thing that keeps notifications or sweeps waiting; None when nothing does."""
        return next((reason for problem in self._problems if (reason := problem()) is not None), None)

    def http_port(self) -> int | None:
        """The port that notifications are pushed to; None while there is none."""
        return self._http_server.port if self._http_server is not None else None

    def leads(self) -> bool:
        """Whether this replica reconciles now."""
        return self._leadership is not None and self._leadership.held()

    def join(self) -> None:
        """Runs until told to stop, lets what is in hand end, and closes.

        Raises:
            BaseException: what a loop failed with.
        """
        try:
            self._loops.join(_DRAIN_SECONDS, self._producer.check)
        finally:
            for close in self._closers:
                close()
            self._requester.close()
            self._producer.close()
            self._store.close()

    def _start_kafka(self) -> None:
        source = KafkaTopicSource(self._kafka, self._requester, self._raw_producer, self._settings.kafka_batch_max)
        self._problems.append(source.problem)
        self._loops.start("kafka", source.run)

    def _start_sqs(self, queue_url: str) -> None:
        source = SqsSource(
            create_sqs_client(self._settings),
            queue_url,
            self._requester,
            self._raw_producer,
            topic_name(self._kafka, OBJECT_STORE_EVENTS),
            wait_seconds=self._settings.sqs_wait_seconds,
            visibility_seconds=self._settings.sqs_visibility_seconds,
        )
        self._problems.append(source.problem)
        for number in range(self._settings.sqs_receivers):
            self._loops.start(f"sqs-{number}", source.run)

    def _start_http(self, port: int) -> None:
        # Imported here: a process that is pushed nothing need not carry a web server.
        from services.intake.http_push import HttpPushApp, HttpPushServer

        app = HttpPushApp(self._settings, self._requester, self._stop.is_set)
        server = self._http_server = HttpPushServer(app, self._settings.http_host, port)
        self._problems.append(server.problem)
        self._loops.start("http", server.run)

    def _start_reconciler(self) -> None:
        settings = self._settings
        table = BalanceTable(AdmissionSettings().staleness_seconds_max)
        reader = BalanceReader(self._kafka, table)
        top_ups = TopUps(table, settings.sweep_top_up_delay_seconds)
        recent = RecentRequests(settings.sweep_repeat_seconds, settings.sweep_remembered_max)
        lag = UploadLag(self._kafka)
        pace = Pace(lag, lag_max=settings.sweep_lag_max, requests_per_second_max=settings.sweep_requests_per_second_max)
        sweep_user = UserSweep(
            self._store,
            self._buckets,
            table,
            recent,
            pace,
            self._requester.send,
            age_seconds_min=settings.sweep_age_seconds_min,
        )
        leadership = self._leadership = Leadership(self._kafka)
        reconciler = Reconciler(
            self._store,
            self._buckets.uploads,
            sweep_user,
            table,
            top_ups,
            recent,
            self._producer,
            held=leadership.held,
            interval_seconds=settings.sweep_interval_seconds,
        )
        reader.on_balance(top_ups.on_balance)
        reader.start()
        self._closers += [reader.close, lag.close]
        self._problems += [reconciler.problem, lambda: _unread(table)]
        self._loops.start("leadership", leadership.run)
        self._loops.start("reconciler", reconciler.run)


def _unread(table: BalanceTable) -> str | None:
    return None if table.complete else "the balances are not read to their end yet"


def main() -> None:
    """Runs intake until SIGTERM or Ctrl-C."""
    process = ProcessSettings()
    configure_logs("intake", process)
    configure_tracing("intake")
    stop = stop_on_signals()
    intake = Intake(IntakeSettings(), KafkaSettings(), ObjectStoreSettings(), stop)
    health = HealthServer(process.health_host, process.health_port, intake.live, intake.ready)
    health.start()
    intake.start()
    try:
        intake.join()
    finally:
        health.close()


if __name__ == "__main__":
    main()
