"""`python -m services.extractor`: settings, objects, run."""

import logging
import sys
import tempfile
import threading
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition

from schemas.events import Price
from schemas.topics import RESULTS
from services.extractor.child import EngineFactory
from services.extractor.identity import Identity, claimed_identity
from services.extractor.lane_consumer import metadata_without_membership
from services.extractor.outgoing import Outgoing, written_topics
from services.extractor.recogniser import ChildBounds, Recogniser
from services.extractor.settings import ExtractorSettings
from services.extractor.spool import spool_directory
from services.extractor.steps import Stores
from services.extractor.worker import Facts, Worker
from services.recognition.document import Limits
from services.recognition.engine import create_engine
from services.runtime import collecting
from services.runtime.admission import BalanceReader, BalanceTable
from services.runtime.children import close_to_children
from services.runtime.documents import DocumentStore
from services.runtime.errors import Halt, StoreUnavailable
from services.runtime.health import HealthServer, Liveness
from services.runtime.kafka import create_producer, topic_name
from services.runtime.logs import configure_logs
from services.runtime.object_store import connect
from services.runtime.open_transactions import find_open_in
from services.runtime.probe import probe_conditional_writes
from services.runtime.settings import (
    AdmissionSettings,
    KafkaSettings,
    LimitSettings,
    ObjectStoreSettings,
    PriceSettings,
    ProcessSettings,
)
from services.runtime.shutdown import stop_on_signals
from services.runtime.tracing import configure_tracing
from services.runtime.transactions import ProducerLost, TransactionalPublisher

_log = logging.getLogger("services.extractor")

EXIT_HALTED = 3
_RETRY_SECONDS = 1.0


def main() -> None:
    """Runs the extractor until it is told to stop."""
    settings = ExtractorSettings()
    sys.exit(
        run(
            settings,
            partial(
                create_engine,
                settings.engine,
                threads=settings.threads,
                weights_dir=settings.weights_dir,
                detection_model=settings.detection_model,
                recognition_model=settings.recognition_model,
            ),
        )
    )


def run(settings: ExtractorSettings, engine_factory: EngineFactory) -> int:
    """Wires the extractor around an engine, runs it, and returns the exit status."""
    close_to_children()
    configure_logs("extractor", ProcessSettings())
    configure_tracing("extractor")
    kafka = KafkaSettings()
    place = Path(settings.spool_dir or tempfile.gettempdir())
    cluster = f"{kafka.bootstrap_servers} {kafka.topic_prefix}"
    with spool_directory(place) as spool, claimed_identity(place, cluster) as identity:
        return _run(settings, kafka, engine_factory, spool, identity)


def _run(
    settings: ExtractorSettings, kafka: KafkaSettings, engine_factory: EngineFactory, spool: Path, identity: Identity
) -> int:
    process, limits = ProcessSettings(), LimitSettings()
    stop = stop_on_signals()
    balances = BalanceReader(kafka, BalanceTable(AdmissionSettings().staleness_seconds_max))
    recogniser = Recogniser(
        engine_factory,
        Limits(bytes_max=limits.bytes_max, pages_max=limits.pages_max, pixels_max=limits.pixels_max),
        ChildBounds(
            limits.page_seconds_max,
            settings.child_memory_mb_max,
            settings.child_memory_mb_recycle,
            settings.child_documents_max,
        ),
    )
    extractor = _Extractor(settings, kafka, recogniser, balances, spool, limits.bytes_max, identity)
    health = HealthServer(process.health_host, process.health_port, extractor.liveness, extractor.problem)
    try:
        health.start()
        recogniser.start()
        balances.start()
        collecting.settle()
        extractor.run(stop)
        return 0
    except Halt as halt:
        _log.critical("halted: %s", halt)
        return EXIT_HALTED
    finally:
        recogniser.close()
        balances.close()
        health.close()


class _Extractor:
    """Memberships in the group, one after the other: a lost producer is replaced together with its consumer."""

    def __init__(
        self,
        settings: ExtractorSettings,
        kafka: KafkaSettings,
        recogniser: Recogniser,
        balances: BalanceReader,
        spool: Path,
        bytes_max: int,
        identity: Identity,
    ) -> None:
        self._settings = settings
        self._kafka = kafka
        self._recogniser = recogniser
        self._balances = balances
        self._store_settings = ObjectStoreSettings()
        self._worker: Worker | None = None
        self._starting: str | None = "starting"
        self._numbers = count(1)
        # The same for all memberships: a new one ends what the last one left open, which would hold up every reader
        # else. It fences nobody: that is what the group's metadata is for.
        self._identity = identity
        self.liveness = Liveness()
        objects = connect(self._store_settings)
        documents = DocumentStore(objects, self._store_settings.results_bucket)
        self._stores = Stores(objects, documents, balances.table)
        price = PriceSettings()
        self._facts = Facts(
            price=Price(
                version=price.version,
                tokens_per_page_unit=price.tokens_per_page_unit,
                tokens_per_word=price.tokens_per_word,
            ),
            file_url_base=self._store_settings.file_url_base(),
            bytes_max=bytes_max,
            uploads_bucket=self._store_settings.uploads_bucket,
            spool=spool,
        )

    def problem(self) -> str | None:
        """Why no work can be done; None when it can."""
        if self._recogniser.engine is None:
            return "the models are not loaded yet"
        return self._starting or (self._worker.problem if self._worker else "not joined")

    def run(self, stop: threading.Event) -> None:
        self._probe(stop)
        while not stop.is_set():
            try:
                self._membership(stop)
            except (ProducerLost, KafkaException) as error:
                self._starting = f"the broker: {error}"
                _log.warning("the membership ended; a new one begins", extra={"reason": str(error)})
                stop.wait(_RETRY_SECONDS)

    def _probe(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.liveness.tick()
            try:
                probe_conditional_writes(self._stores.objects, self._stores.documents.bucket)
                return
            except StoreUnavailable as error:
                self._starting = f"the object store: {error}"
                _log.warning(self._starting)
                stop.wait(_RETRY_SECONDS)

    def _membership(self, stop: threading.Event) -> None:
        self.liveness.tick()
        producer = create_producer(self._kafka, linger_ms=0, transactional_id=self._identity.transactional_id)
        publisher = TransactionalPublisher(producer, self._kafka.transaction_timeout_ms / 1000)
        if not self._begin(publisher, stop):
            return
        if self._identity.in_doubt:
            self._bury(publisher)
        self._worker = Worker(
            kafka=self._kafka,
            settings=self._settings,
            publisher=publisher,
            recogniser=self._recogniser,
            stores=self._stores,
            outgoing=Outgoing(self._kafka, self._stores.documents.bucket, _now),
            facts=self._facts,
            now=_now,
            tick=self.liveness.tick,
            numbers=self._numbers,
        )
        self._starting = None
        _log.info("joining", extra={"transactional_id": self._identity.transactional_id})
        try:
            self._worker.run(stop)
        finally:
            self._identity.in_doubt = publisher.in_doubt

    def _bury(self, publisher: TransactionalPublisher) -> None:
        """Ends what an earlier producer of our name left open. Raises as `TransactionalPublisher.bury`."""
        unread = TopicPartition(topic_name(self._kafka, RESULTS), 0, 0)
        places = [(each.topic, each.partition) for each in find_open_in(self._kafka, written_topics(self._kafka))]
        publisher.bury(places, unread, metadata_without_membership(self._kafka))
        self._identity.in_doubt = False
        _log.info("ended what was left open", extra={"partitions": places})

    def _begin(self, publisher: TransactionalPublisher, stop: threading.Event) -> bool:
        """Registers the producer, however long the broker takes to answer; False if it is to stop before."""
        while not stop.is_set():
            self.liveness.tick()
            try:
                publisher.begin()
                return True
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
                # Asked again it goes on where it was; a new producer would begin from nothing.
                self._starting = f"the broker: {error.args[0].str()}"
                _log.warning(self._starting)
        return False


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
