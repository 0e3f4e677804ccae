"""A stage for tests of several parts: topics, buckets and accounts of the test's own on the shared real parts."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.cloudevents import Attributes, decode, encode, event_type
from schemas.document import Document
from schemas.events import BalanceChanged, Event, LedgerHeartbeat, OcrRequest, Origin
from schemas.identity import result_id
from schemas.topics import BALANCES, REQUESTS, RESULTS, UPLOADS, USAGE, Topic, upload_key
from services.runtime.documents import DocumentStore
from services.runtime.kafka import consumer_config, create_consumer, create_producer, topic_name
from services.runtime.object_store import ObjectStore, connect
from services.runtime.provisioning import ensure_bucket, provision_topics
from services.runtime.settings import KafkaSettings, ObjectStoreSettings
from tests.support.parts import KafkaPart, ObjectStorePart

E = TypeVar("E", bound=Event)

_PARTITIONS = 4
_POLL_SECONDS = 0.05


def wait_for(condition: Callable[[], bool], what: str, seconds_max: float = 30.0) -> None:
    """Waits until `condition` holds; fails the test, saying `what` never happened, when it does not in time."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds_max:g} s: {what}")
        time.sleep(_POLL_SECONDS)


@dataclass
class Worker:
    """A service of ours as a process of its own."""

    process: "subprocess.Popen[bytes]"
    log: Path
    port: int

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self.process.poll()

    def ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return int(answer.status) == 200
        except (urllib.error.URLError, OSError):
            return False

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process alone."""
        self.process.send_signal(number)

    def wait(self, seconds_max: float = 40.0) -> int:
        """Waits for its end and returns the exit status."""
        return self.process.wait(seconds_max)

    def output(self) -> str:
        """All it logged."""
        return self.log.read_text(errors="replace")


@dataclass
class Topics:
    """Reads topics from their beginning, committed records only, in the background."""

    kafka: KafkaSettings
    topics: tuple[Topic, ...]
    messages: list[Message] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to read."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops reading."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10)

    def events(self, model: type[E]) -> list[E]:
        """The events of a type seen so far."""
        decoded = [decode(m.headers(), m.value()).data for m in list(self.messages) if m.value() is not None]
        return [event for event in decoded if isinstance(event, model)]

    def _run(self) -> None:
        config = consumer_config(self.kafka, group=f"test-{uuid.uuid4()}", offset_reset="earliest")
        consumer: Consumer = create_consumer(config)
        assigned = []
        for topic in self.topics:
            name = topic_name(self.kafka, topic)
            numbers = consumer.list_topics(name, timeout=10).topics[name].partitions
            assigned += [TopicPartition(name, number, OFFSET_BEGINNING) for number in numbers]
        consumer.assign(assigned)
        while not self._stopping.is_set():
            for message in consumer.consume(100, 0.1):
                error = message.error()
                if error is None:
                    self.messages.append(message)
                else:
                    print(f"test consumer: {error}", file=sys.stderr)  # noqa: T201
        consumer.close()


@dataclass
class Stage:
    """Everything a service needs to run for one test."""

    kafka: KafkaSettings
    store: ObjectStoreSettings
    environment: dict[str, str]
    directory: Path
    objects: ObjectStore
    documents: DocumentStore
    producer: Producer
    read: Topics
    workers: list[Worker] = field(default_factory=list)
    _versions: dict[str, int] = field(default_factory=dict)
    _beating: threading.Event = field(default_factory=threading.Event)

    def start(self, module: str, *, port_variable: str = "OCR_HEALTH_PORT", **environment: str) -> Worker:
        """Starts `python -m module`, with a free port for its health in `port_variable`; returns at once."""
        port = _free_port()
        log = self.directory / f"{module}-{len(self.workers)}.log"
        spool = {"OCR_EXTRACTOR_SPOOL_DIR": str(self.directory)}
        variables = os.environ | spool | self.environment | {port_variable: str(port)} | environment
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", module], env=variables, stdout=file, stderr=file, start_new_session=True
            )
        worker = Worker(process, log, port)
        self.workers.append(worker)
        return worker

    def start_ready(self, module: str, *, port_variable: str = "OCR_HEALTH_PORT", **environment: str) -> Worker:
        """Starts a service and waits until it is ready."""
        worker = self.start(module, port_variable=port_variable, **environment)

        def ready() -> bool:
            assert worker.exit_status is None, f"{module} ended:\n{worker.output()[-3000:]}"
            return worker.ready()

        try:
            wait_for(ready, f"{module} is ready", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{worker.output()[-3000:]}") from error
        return worker

    def upload(self, key: str, body: bytes) -> str:
        """Puts an object and returns its etag."""
        return self.objects.put(self.store.uploads_bucket, key, body, "application/octet-stream")

    def request(self, key: str, etag: str, **changes: object) -> OcrRequest:
        """The request for one content of a key."""
        values: dict[str, object] = {
            "result_id": result_id(self.store.uploads_bucket, key, etag),
            "user_id": key.split("/")[1],
            "bucket": self.store.uploads_bucket,
            "key": key,
            "etag": etag,
            "origin": Origin.API,
            "requested_at": datetime.now(UTC),
        }
        return OcrRequest.model_validate(values | changes)

    def ask(self, request: OcrRequest, *, upload: bool = False) -> None:
        """Produces a request on one of the lanes."""
        if upload:
            self.produce(UPLOADS, upload_key(request.user_id, request.key), request)
        else:
            self.produce(REQUESTS, request.result_id, request)

    def produce(self, topic: Topic, key: str, event: Event) -> None:
        """Produces one event and waits for the acknowledgement."""
        self.queue(topic, key, event)
        self.flush()

    def queue(self, topic: Topic, key: str, event: Event, tell: Callable[[int], None] | None = None) -> None:
        """Queues one event for `flush`, which tells the partition that it went to."""
        attributes = Attributes(
            id=str(uuid.uuid4()),
            type=event_type(type(event)),
            source="/test",
            subject="test",
            time=datetime.now(UTC),
        )
        headers, body = encode(event, attributes)
        self._queue(topic, key, body, headers, tell)

    def flush(self) -> None:
        """Waits until everything queued is acknowledged."""
        assert self.producer.flush(60) == 0, "the broker acknowledged"

    def produce_raw(
        self, topic: Topic, key: str, body: bytes | None, headers: list[tuple[str, str | bytes | None]]
    ) -> None:
        """Produces any record and waits for the acknowledgement."""
        self._queue(topic, key, body, headers)
        self.flush()

    def _queue(
        self,
        topic: Topic,
        key: str,
        body: bytes | None,
        headers: list[tuple[str, str | bytes | None]],
        tell: Callable[[int], None] | None = None,
    ) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None and tell is not None:
                tell(int(message.partition() or 0))

        self.producer.poll(0)
        name = topic_name(self.kafka, topic)
        self.producer.produce(name, key=key, value=body, headers=headers, on_delivery=delivered)

    def fund(self, user_id: str, balance: int) -> None:
        """Announces a balance, as the ledger would."""
        version = self._versions[user_id] = self._versions.get(user_id, 0) + 1
        event = BalanceChanged(user_id=user_id, balance=balance, version=version, as_of=datetime.now(UTC))
        self.produce(BALANCES, user_id, event)

    def beat(self) -> None:
        """Announces that the ledger is up to date, now and every second, until the stage is struck."""

        def run() -> None:
            while True:
                beat = LedgerHeartbeat(partition=0, partition_count=1, posted_until=datetime.now(UTC))
                self.produce(BALANCES, "heartbeat/0", beat)
                if self._beating.wait(1.0):
                    return

        threading.Thread(target=run, daemon=True).start()

    def document(self, request: OcrRequest) -> Document | None:
        """The document of a request's result."""
        stored = self.documents.read(request.user_id, request.result_id)
        return stored.document if stored else None

    def strike(self) -> None:
        """Ends everything that was started."""
        self._beating.set()
        for worker in self.workers:
            if worker.exit_status is None:
                worker.process.kill()
            worker.process.wait(10)
        self.read.close()


def raise_stage(
    kafka: KafkaPart,
    object_store: ObjectStorePart,
    topic_prefix: str,
    bucket_prefix: str,
    directory: Path,
    partitions: int = _PARTITIONS,
) -> Stage:
    """Provisions topics and buckets under the test's prefixes and begins to read results and usage."""
    environment = environment_of(kafka, object_store, topic_prefix, bucket_prefix)
    environment["OCR_KAFKA_PARTITIONS"] = str(partitions)
    kafka_settings, store_settings = _settings(environment)
    provision_topics(kafka_settings)
    objects = connect(store_settings)
    ensure_bucket(objects, store_settings.uploads_bucket)
    ensure_bucket(objects, store_settings.results_bucket)
    read = Topics(kafka_settings, (RESULTS, USAGE))
    read.start()
    return Stage(
        kafka=kafka_settings,
        store=store_settings,
        environment=environment,
        directory=directory,
        objects=objects,
        documents=DocumentStore(objects, store_settings.results_bucket),
        producer=create_producer(kafka_settings, linger_ms=0),
        read=read,
    )


def environment_of(
    kafka: KafkaPart, object_store: ObjectStorePart, topic_prefix: str, bucket_prefix: str
) -> dict[str, str]:
    """The environment variables of a service on this stage."""
    return {
        "OCR_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "OCR_KAFKA_TOPIC_PREFIX": topic_prefix,
        "OCR_KAFKA_PARTITIONS": str(_PARTITIONS),  # few: each takes files and threads of a small broker
        "OCR_KAFKA_SESSION_TIMEOUT_MS": "6000",
        "OCR_KAFKA_HEARTBEAT_INTERVAL_MS": "500",
        "OCR_KAFKA_EMBEDDED": json.dumps(kafka.kind == "embedded"),
        "OCR_S3_ENDPOINT_URL": object_store.endpoint_url,
        "OCR_S3_REGION": object_store.region,
        "OCR_S3_ACCESS_KEY": object_store.access_key,
        "OCR_S3_SECRET_KEY": object_store.secret_key,
        "OCR_S3_UPLOADS_BUCKET": f"{bucket_prefix}uploads",
        "OCR_S3_RESULTS_BUCKET": f"{bucket_prefix}results",
    }


def _settings(environment: Mapping[str, str]) -> tuple[KafkaSettings, ObjectStoreSettings]:
    def values(prefix: str) -> dict[str, str]:
        return {
            name.removeprefix(prefix).lower(): value for name, value in environment.items() if name.startswith(prefix)
        }

    return (
        KafkaSettings.model_validate(values("OCR_KAFKA_")),
        ObjectStoreSettings.model_validate(values("OCR_S3_")),
    )


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
