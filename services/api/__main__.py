"""Wires the API and runs it: settings → objects → run."""

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager

import uvicorn

from services.api.app import create_app
from services.api.authentication import Authenticator
from services.api.keys import ApiKeys
from services.api.parts import Parts
from services.api.processing import Processor
from services.api.readiness import Readiness, balances_problem
from services.api.replies import ReplyReader
from services.api.requests import RequestSender
from services.api.result_list import ResultLister
from services.api.results import PendingWriter
from services.api.server import DrainingServer
from services.api.settings import ApiSettings
from services.api.stores import Stores, in_thread
from services.api.uploads import Uploads, put_signer
from services.api.waiters import InFlight, Waiters
from services.runtime.admission import BalanceReader, BalanceTable
from services.runtime.database import create_database
from services.runtime.dead_letters import DeadLetters
from services.runtime.documents import DocumentStore
from services.runtime.kafka import create_producer
from services.runtime.logs import configure_logs
from services.runtime.object_store import connect, create_client
from services.runtime.producing import EventProducer
from services.runtime.settings import (
    AdmissionSettings,
    DatabaseSettings,
    KafkaSettings,
    LimitSettings,
    ObjectStoreSettings,
    ProcessSettings,
)

_DATABASE_THREADS = 4
_SETTLED_SECONDS = 2.0
"""When the readers have made their connections."""


@asynccontextmanager
async def open_parts(settings: ApiSettings, waiters: Waiters) -> AsyncIterator[Parts]:
    """Makes every client, starts the readers, and closes all of it in the opposite order."""
    kafka, object_store, database = KafkaSettings(), ObjectStoreSettings(), DatabaseSettings()
    with ExitStack() as stack:
        store_pool = stack.enter_context(ThreadPoolExecutor(settings.store_threads, "store"))
        database_pool = stack.enter_context(ThreadPoolExecutor(_DATABASE_THREADS, "database"))
        engine = create_database(database)
        stack.callback(engine.dispose)
        store = connect(object_store)
        stack.callback(store.close)
        public = object_store.public_endpoint_url
        presigning = create_client(object_store, endpoint_url=public) if public else store.client
        stores = Stores(
            store,
            DocumentStore(store, object_store.results_bucket),
            engine,
            uploads_bucket=object_store.uploads_bucket,
            store_executor=store_pool,
            database_executor=database_pool,
        )
        raw_producer = create_producer(kafka, linger_ms=0)
        producer = EventProducer(raw_producer, kafka, source="api")
        stack.callback(producer.close)
        table = BalanceTable(AdmissionSettings().staleness_seconds_max)
        balances, replies = BalanceReader(kafka, table), ReplyReader(kafka, waiters)
        lister = ResultLister(kafka, engine, DeadLetters(raw_producer), producer)
        for reader in (balances, replies, lister):
            reader.start()
            stack.callback(reader.close)
        keys = ApiKeys(engine)
        processor = Processor(
            lookups=stores,
            admission=table,
            pending=PendingWriter(engine, database_pool),
            sender=RequestSender(
                producer, seconds_max=settings.produce_seconds_max, upload_spread=settings.upload_spread
            ),
            waiters=waiters,
            in_flight=InFlight(settings.waiters_max, settings.waiters_per_user_max),
            settings=settings,
        )
        asyncio.get_running_loop().call_later(_SETTLED_SECONDS, _give_back_memory)
        yield Parts(
            authenticator=Authenticator(keys, database_pool, settings.key_cache_seconds),
            processor=processor,
            results=stores,
            uploads=Uploads(
                put_signer(presigning, object_store.uploads_bucket, settings.presign_seconds),
                bytes_max=LimitSettings().bytes_max,
                presign_seconds=settings.presign_seconds,
            ),
            balances=table,
            ready=Readiness(
                [replies.problem, lambda: balances_problem(table)], lambda: in_thread(database_pool, keys.ping)
            ),
            live=replies.stopped,
        )


def _give_back_memory() -> None:
    """Starting leaves garbage and free pages behind, some 7 MB, which the process would keep for good."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)


def main() -> None:
    """Serves until SIGTERM."""
    settings = ApiSettings()
    configure_logs("api", ProcessSettings())
    waiters = Waiters()
    app = create_app(settings, lambda: open_parts(settings, waiters))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        ws="none",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=int(settings.drain_seconds),
    )
    DrainingServer(config, drain_seconds=settings.drain_seconds, end_waits=waiters.drain).run()


if __name__ == "__main__":
    main()
