"""`python -m services.ledger`: settings → objects → run."""

import logging
import sys
from dataclasses import dataclass
from functools import partial
from threading import Event

from sqlalchemy import Engine

from schemas.topics import USAGE
from services.ledger import outbox
from services.ledger.book import post_batch
from services.ledger.consumer import UsageConsumer
from services.ledger.debit_spans import debit_spans
from services.ledger.ends import Ends
from services.ledger.gauges import Gauges
from services.ledger.heartbeat import Heartbeats
from services.ledger.places import Places
from services.ledger.publisher import Publisher
from services.ledger.readiness import Readiness
from services.ledger.settings import LedgerSettings
from services.ledger.sweeper import Sweeper
from services.ledger.threads import Threads
from services.ledger.worker import Worker
from services.runtime import collecting, groups
from services.runtime.admission import BalanceReader, BalanceTable
from services.runtime.database import create_database
from services.runtime.dead_letters import DeadLetters
from services.runtime.health import HealthServer
from services.runtime.kafka import (
    Fetching,
    consumer_config,
    create_admin,
    create_consumer,
    create_producer,
    group_name,
    topic_name,
)
from services.runtime.logs import configure_logs
from services.runtime.producing import EventProducer
from services.runtime.settings import (
    AdmissionSettings,
    DatabaseSettings,
    KafkaSettings,
    ObjectStoreSettings,
    ProcessSettings,
)
from services.runtime.shutdown import stop_on_signals
from services.runtime.tracing import configure_tracing

_log = logging.getLogger("services.ledger")

_CLOSE_SECONDS_MAX = 10.0


@dataclass(frozen=True)
class Ledger:
    """The parts of one replica."""

    engine: Engine
    producer: EventProducer
    balances: BalanceReader
    consumer: UsageConsumer
    publisher: Publisher
    worker: Worker
    sweeper: Sweeper | None
    gauges: Gauges

    def run(self, stop: Event) -> bool:
        """Works until `stop` is set; true when it was, false when a part failed."""
        threads = Threads(stop)
        self.balances.start()
        threads.start("publisher", self.publisher.run)
        threads.start("gauges", self.gauges.run)
        if self.sweeper is not None:
            threads.start("sweeper", self.sweeper.run)
        collecting.settle()
        try:
            self.worker.run(stop)
        except Exception:
            _log.exception("the ledger stops")
            return False
        finally:
            stop.set()
            threads.join(_CLOSE_SECONDS_MAX)
            self.consumer.close()
            self.balances.close()
            self.producer.close(_CLOSE_SECONDS_MAX)
            self.engine.dispose()
        return not threads.failed


def wire(kafka: KafkaSettings, ledger: LedgerSettings, store: ObjectStoreSettings, engine: Engine) -> Ledger:
    """Makes the parts and joins them; nothing runs yet."""
    topic = topic_name(kafka, USAGE)
    raw_producer = create_producer(kafka, linger_ms=5)
    producer = EventProducer(raw_producer, kafka, "ledger")
    ends = Ends(create_admin(kafka), topic)
    balances = BalanceReader(kafka, BalanceTable(AdmissionSettings().staleness_seconds_max))
    config = consumer_config(kafka, group=groups.LEDGER, offset_reset="error", fetching=Fetching.GATHERED)
    # A backlog is read as fast as it is posted; what is fetched ahead only takes memory.
    raw_consumer = create_consumer(config | {"enable.partition.eof": True, "queued.max.messages.kbytes": 8_192})
    consumer = UsageConsumer(raw_consumer, topic, Places(engine, None if kafka.embedded else ends))

    def is_elected() -> bool:
        # The group elects: partition 0 has one owner.
        return 0 in consumer.owned

    publisher = Publisher(
        engine,
        producer,
        balances.table,
        is_elected=is_elected,
        poll_seconds=ledger.outbox_poll_seconds,
        cycle_seconds=ledger.balances_cycle_seconds,
    )
    dead_letters = DeadLetters(raw_producer)
    worker = Worker(
        consumer,
        partial(post_batch, engine),
        dead_letters,
        partial(dead_letters.keep, _CLOSE_SECONDS_MAX),
        Heartbeats(
            producer,
            ends,
            interval_seconds=ledger.heartbeat_seconds,
            ask_the_broker=not kafka.embedded,
            # The owner of partition 0 publishes the balances: its heartbeat comes after them.
            may_beat=lambda partition: partition != 0 or publisher.has_published_all(),
            unpublished=partial(outbox.waiting, engine),
        ),
        batch_records_max=ledger.batch_records_max,
        batch_wait_seconds=ledger.batch_wait_seconds,
        on_posted=publisher.wake,
        on_rewound=publisher.renew,
        spans=debit_spans(),
    )
    sweeper = None
    if ledger.sweep:
        from services.ledger.sweep_wiring import wire_sweep

        sweep = wire_sweep(kafka, ledger, store, engine, producer, balances.table)
        sweeper = Sweeper(sweep, is_elected=is_elected, cycle_seconds=ledger.sweep_cycle_seconds)
    gauges = Gauges(
        engine,
        ends,
        topic=topic,
        group=group_name(kafka, groups.LEDGER),
        owned=lambda: consumer.owned,
        is_elected=is_elected,
        settings=ledger,
    )
    return Ledger(engine, producer, balances, consumer, publisher, worker, sweeper, gauges)


def main() -> None:
    """Runs the ledger with the settings of the environment, until a signal."""
    process = ProcessSettings()
    configure_logs("ledger", process)
    configure_tracing("ledger")
    engine = create_database(DatabaseSettings())
    ledger = wire(KafkaSettings(), LedgerSettings(), ObjectStoreSettings(), engine)
    readiness = Readiness(engine, ledger.consumer, ledger.worker)
    health = HealthServer(process.health_host, process.health_port, ledger.worker.liveness, readiness)
    health.start()
    well = ledger.run(stop_on_signals())
    health.close()
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
