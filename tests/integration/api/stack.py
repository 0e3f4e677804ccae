"""What the API needs around it, on real parts: topics, buckets, a migrated database, and a ledger that only talks."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import Engine

from schemas.events import BalanceChanged, LedgerHeartbeat
from schemas.topics import BALANCES
from services.api.keys import ApiKeys, Scope
from services.local.ports import LOOPBACK, free_port
from services.local.process import ManagedProcess
from services.runtime.database import create_database
from services.runtime.kafka import create_producer
from services.runtime.migrations import migrate_engine
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.producing import EventProducer
from services.runtime.provisioning import ensure_bucket, provision_topics
from services.runtime.settings import DatabaseSettings, KafkaSettings, ObjectStoreSettings
from tests.integration.api.fake_extractor import FakeExtractor
from tests.support.parts import KafkaPart, ObjectStorePart
from tests.support.stage import wait_for

_PARTITIONS = 3
_READY_SECONDS_MAX = 30.0


class User:
    """A user with an API key."""

    def __init__(self, user_id: str, api_key: str, key_id: str) -> None:
        self.id = user_id
        self.api_key = api_key
        self.key_id = key_id
        self.headers = {"X-API-Key": api_key}


class Replica:
    """One running API process and a client of it."""

    def __init__(self, process: ManagedProcess, url: str) -> None:
        self.process = process
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=60)

    def post(self, user: User, key: str, **headers: str) -> httpx.Response:
        """Asks for a file to be processed."""
        return self.client.post("/api/ocr/process", json={"key": key}, headers=user.headers | headers)

    def result(self, user: User, result_id: str) -> httpx.Response:
        """Asks for a result."""
        return self.client.get(f"/api/ocr/results/{result_id}", headers=user.headers)

    def tells_balance(self, api_key: str, balance: int) -> bool:
        """Whether this is the balance that the key's user is told."""
        return bool(self.client.get("/api/tokens/balance", headers={"X-API-Key": api_key}).json()["balance"] == balance)

    def wait_for_waiters(self, count: int) -> None:
        """Returns once so many POSTs wait for their result."""
        wait_for(lambda: self._waiters() >= count, f"{count} POSTs wait")

    def wait_until_ready(self) -> None:
        """Returns once it is ready."""
        self.process.wait_until_ready(self._is_ready, _READY_SECONDS_MAX)

    def close(self) -> None:
        """Stops it."""
        self.client.close()
        self.process.stop()

    def _waiters(self) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("ocr_api_waiters "))

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False


class Stack:
    """Everything around the API."""

    def __init__(self, kafka: KafkaPart, store: ObjectStorePart, database_url: str, directory: Path) -> None:
        name = f"t{secrets.token_hex(5)}"
        self._directory = directory
        self._versions = count(1)
        self.replicas: list[Replica] = []
        self.environment = {
            "OCR_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "OCR_KAFKA_TOPIC_PREFIX": f"{name}.",
            "OCR_KAFKA_PARTITIONS": str(_PARTITIONS),
            "OCR_S3_ENDPOINT_URL": store.endpoint_url,
            "OCR_S3_ACCESS_KEY": store.access_key,
            "OCR_S3_SECRET_KEY": store.secret_key,
            "OCR_S3_REGION": store.region,
            "OCR_S3_UPLOADS_BUCKET": f"{name}-uploads",
            "OCR_S3_RESULTS_BUCKET": f"{name}-results",
            "OCR_DATABASE_URL": database_url,
            # One heartbeat of the ledger that only talks is enough for all tests.
            "OCR_ADMISSION_STALENESS_SECONDS_MAX": "3600",
        }
        self.kafka = KafkaSettings(
            bootstrap_servers=kafka.bootstrap_servers, topic_prefix=f"{name}.", partitions=_PARTITIONS
        )
        self.object_store = ObjectStoreSettings(
            endpoint_url=store.endpoint_url,
            access_key=SecretStr(store.access_key),
            secret_key=SecretStr(store.secret_key),
            region=store.region,
            uploads_bucket=f"{name}-uploads",
            results_bucket=f"{name}-results",
        )
        provision_topics(self.kafka)
        self.store = ObjectStore(create_client(self.object_store))
        for bucket in (self.object_store.uploads_bucket, self.object_store.results_bucket):
            ensure_bucket(self.store, bucket)
        self.engine: Engine = create_database(DatabaseSettings(url=SecretStr(database_url)))
        migrate_engine(self.engine)
        self._ledger = EventProducer(create_producer(self.kafka, linger_ms=0), self.kafka, source="fake-ledger")
        self.beat()
        self.extractor = FakeExtractor(self.kafka, self.object_store)
        self.extractor.start()

    def start_replica(self, environment: Mapping[str, str] | None = None) -> Replica:
        """Starts one more API process and waits until it is ready."""
        replica = self.start_unready_replica(environment)
        replica.wait_until_ready()
        return replica

    def start_unready_replica(self, environment: Mapping[str, str] | None = None) -> Replica:
        """Starts one more API process."""
        port = free_port()
        process = ManagedProcess(
            name="api",
            command=[sys.executable, "-m", "services.api"],
            log_path=self._directory / f"api-{port}.log",
            environment={**os.environ, **self.environment, "OCR_API_PORT": str(port), **(environment or {})},
            directory=Path(__file__).parents[3],
        )
        process.start()
        replica = Replica(process, f"http://{LOOPBACK}:{port}")
        self.replicas.append(replica)
        return replica

    def close(self) -> None:
        """Stops all of it."""
        for replica in self.replicas:
            replica.close()
        self.extractor.close()
        self._ledger.close()
        self.engine.dispose()

    def user(self, balance: int | None = 1000, scopes: tuple[Scope, ...] = tuple(Scope), **key: Any) -> User:
        """A new user with a key; with `balance` None there is no account."""
        user_id = f"u{secrets.token_hex(6)}"
        made, text = ApiKeys(self.engine).create(user_id, scopes, now=datetime.now(UTC), **key)
        if balance is not None:
            self.publish_balance(user_id, balance)
        return User(user_id, text, made.id)

    def publish_balance(self, user_id: str, balance: int) -> None:
        """What the ledger would say; returns once every replica has heard it."""
        event = BalanceChanged(user_id=user_id, balance=balance, version=next(self._versions), as_of=datetime.now(UTC))
        self._ledger.send(BALANCES, user_id, event, subject=user_id).result(10)
        # A key of its own: that of the test may not be allowed to ask, and may ask only so often.
        _, key = ApiKeys(self.engine).create(user_id, tuple(Scope), now=datetime.now(UTC))
        for replica in self.replicas:
            if replica.process.is_running():
                wait_for(partial(replica.tells_balance, key, balance), f"{replica.url} hears of the balance")

    def beat(self, posted_until: datetime | None = None) -> None:
        """Heartbeats of every partition of usage."""
        moment = posted_until or datetime.now(UTC)
        for partition in range(_PARTITIONS):
            beat = LedgerHeartbeat(partition=partition, partition_count=_PARTITIONS, posted_until=moment)
            self._ledger.send(BALANCES, f"heartbeat/{partition}", beat, subject=str(partition)).result(10)

    def upload(self, user: User, body: bytes, name: str | None = None) -> str:
        """Puts an object under the user's prefix and returns its key."""
        key = f"ocr/{user.id}/{name or secrets.token_hex(6) + '.jpg'}"
        self.store.put(self.object_store.uploads_bucket, key, body, "image/jpeg")
        return key
