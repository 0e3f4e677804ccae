"""`python -m services.ledger`: settings → objects → run."""

import logging
import sys
import threading
from collections.abc import Callable
from functools import partial

from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine

from schemas.topics import USAGE
from services.ledger.book import post_batch
from services.ledger.consumer import UsageConsumer
from services.ledger.ends import Ends
from services.ledger.heartbeat import Heartbeats
from services.ledger.places import Places
from services.ledger.publisher import Publisher
from services.ledger.readiness import Readiness
from services.ledger.settings import LedgerSettings
from services.ledger.worker import Worker
from services.runtime import groups
from services.runtime.admission import BalanceReader, BalanceTable
from services.runtime.database import create_database
from services.runtime.dead_letters import DeadLetters
from services.runtime.health import HealthServer
from services.runtime.kafka import common_config, consumer_config, create_consumer, create_producer, topic_name
from services.runtime.logs import configure_logs
from services.runtime.producing import EventProducer
from services.runtime.settings import AdmissionSettings, DatabaseSettings, KafkaSettings, ProcessSettings
from services.runtime.shutdown import stop_on_signals

_log = logging.getLogger("services.ledger")

_FLUSH_SECONDS_MAX = 10.0


class Threads:
    """Threads beside the main loop; one that fails stops the process, which is started anew."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self.failed = False

    def start(self, name: str, target: Callable[[threading.Event], None]) -> None:
        """Runs `target` until the event it is given is set."""
        thread = threading.Thread(target=self._run, args=(target,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Waits for all of them to end."""
        for thread in self._threads:
            thread.join(timeout_seconds)

    def _run(self, target: Callable[[threading.Event], None]) -> None:
        try:
            target(self._stop)
        except Exception:
            _log.exception("%s failed", threading.current_thread().name)
            self.failed = True
            self._stop.set()


def run(kafka: KafkaSettings, ledger: LedgerSettings, engine: Engine, process: ProcessSettings) -> int:
    """Runs the ledger until a signal; returns the exit status."""
    stop = stop_on_signals()
    threads = Threads(stop)
    topic = topic_name(kafka, USAGE)
    admin = AdminClient(common_config(kafka))
    raw_producer = create_producer(kafka, linger_ms=5)
    producer = EventProducer(raw_producer, kafka, "ledger")
    ends = Ends(admin, topic)
    balances = BalanceReader(kafka, BalanceTable(AdmissionSettings().staleness_seconds_max))
    config = consumer_config(kafka, group=groups.LEDGER, offset_reset="error", prompt=True)
    consumer = UsageConsumer(
        create_consumer(config | {"enable.partition.eof": True}),
        topic,
        Places(engine, None if kafka.embedded else ends),
    )
    publisher = Publisher(
        engine,
        producer,
        balances.table,
        # The group elects: partition 0 has one owner.
        is_elected=lambda: 0 in consumer.owned,
        poll_seconds=ledger.outbox_poll_seconds,
        cycle_seconds=ledger.balances_cycle_seconds,
    )
    worker = Worker(
        consumer,
        partial(post_batch, engine),
        DeadLetters(raw_producer),
        partial(producer.flush, _FLUSH_SECONDS_MAX),
        Heartbeats(
            producer,
            ends,
            interval_seconds=ledger.heartbeat_seconds,
            ask_the_broker=not kafka.embedded,
            # The owner of partition 0 publishes the balances: its heartbeat comes after them.
            may_beat=lambda partition: partition != 0 or publisher.has_published_all(),
        ),
        batch_records_max=ledger.batch_records_max,
        batch_wait_seconds=ledger.batch_wait_seconds,
        on_posted=publisher.wake,
        on_rewound=publisher.renew,
    )
    readiness = Readiness(engine, consumer, worker)
    health = HealthServer(process.health_host, process.health_port, worker.liveness, readiness)
    health.start()
    balances.start()
    threads.start("publisher", publisher.run)
    try:
        worker.run(stop)
    except Exception:
        _log.exception("the ledger stops")
        threads.failed = True
    finally:
        stop.set()
        threads.join(_FLUSH_SECONDS_MAX)
        consumer.close()
        balances.close()
        producer.close(_FLUSH_SECONDS_MAX)
        health.close()
        engine.dispose()
    return 1 if threads.failed else 0


def main() -> None:
    """Runs the ledger with the settings of the environment."""
    process = ProcessSettings()
    configure_logs("ledger", process)
    sys.exit(run(KafkaSettings(), LedgerSettings(), create_database(DatabaseSettings()), process))


if __name__ == "__main__":
    main()
