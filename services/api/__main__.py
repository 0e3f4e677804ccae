"""Wires the API and runs it: settings → objects → run."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import uvicorn
from botocore.exceptions import BotoCoreError
from sqlalchemy import Engine

from services.api.app import create_app
from services.api.authentication import Authenticator
from services.api.console_files import content_security_policy
from services.api.gauges import BrokerGauges
from services.api.keys import ApiKeys
from services.api.memory import SETTLED_SECONDS, give_back_memory
from services.api.overview import Overviews
from services.api.parts import Parts
from services.api.processing import Processor
from services.api.rate_limit import RateLimiter
from services.api.readiness import BucketWatch, Readiness, balances_problem, first_problem, producer_problem, watch
from services.api.replies import ReplyReader
from services.api.requests import RequestSender
from services.api.result_list import ResultLister
from services.api.results import PendingWriter
from services.api.retention import Retention
from services.api.searchable_pdf import PdfLimits, PdfMaker
from services.api.server import DrainingServer
from services.api.settings import ApiSettings
from services.api.stores import Stores, in_thread
from services.api.storing import FileStorer
from services.api.uploads import SignPut, Uploads, put_signer
from services.api.waiters import InFlight, Waiters
from services.api.webhooks import Webhooks
from services.runtime.admission import BalanceReader, BalanceTable
from services.runtime.children import close_to_children
from services.runtime.database import create_database
from services.runtime.dead_letters import DeadLetters
from services.runtime.documents import DocumentStore
from services.runtime.kafka import create_producer
from services.runtime.logs import configure_logs
from services.runtime.object_store import ObjectStore, connect, create_client
from services.runtime.producing import EventProducer
from services.runtime.settings import (
    AdmissionSettings,
    DatabaseSettings,
    KafkaSettings,
    LimitSettings,
    ObjectStoreSettings,
    ProcessSettings,
)
from services.runtime.tracing import configure_tracing
from services.webhook_registry.addresses import AddressPolicy
from services.webhook_registry.settings import WebhookSettings

_log = logging.getLogger(__name__)

_DATABASE_THREADS = 4
_LOOKUP_THREADS = 4
_KEEP_ALIVE_SECONDS = 75
"""Longer than load balancers keep an idle connection: else one is closed just as they send a request on it."""


@dataclass(frozen=True)
class Clients:
    """Connections to everything around, and the threads that make blocking calls of them."""

    store: ObjectStore
    sign_put: SignPut
    engine: Engine
    producer: EventProducer
    dead_letters: DeadLetters
    store_threads: Executor
    database_threads: Executor
    lookup_threads: Executor


@dataclass(frozen=True)
class Readers:
    """What follows the topics."""

    balances: BalanceReader
    replies: ReplyReader


def main() -> None:
    """Serves until SIGTERM; exit status 1 when a vital part failed for good."""
    close_to_children()
    settings = ApiSettings()
    configure_logs("api", ProcessSettings())
    configure_tracing("api")
    waiters = Waiters()
    app = create_app(settings, lambda: open_parts(settings, waiters, lambda problem: server.give_up(problem)))
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
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.drain_seconds),
    )
    server = DrainingServer(config, drain_seconds=settings.drain_seconds, end_waits=waiters.drain)
    server.run()
    sys.exit(1 if server.has_given_up or not server.started else 0)


@asynccontextmanager
async def open_parts(settings: ApiSettings, waiters: Waiters, give_up: Callable[[str], None]) -> AsyncIterator[Parts]:
    """Makes every client, starts the readers, and closes all of it in the opposite order."""
    with ExitStack() as stack:
        clients = _connect(stack, settings)
        readers = _start_readers(stack, settings, clients, waiters)
        asyncio.get_running_loop().call_later(SETTLED_SECONDS, give_back_memory)
        parts = _assemble(settings, waiters, clients, readers)
        watching = asyncio.create_task(watch(parts.live, give_up))
        yield parts
        watching.cancel()


def _connect(stack: ExitStack, settings: ApiSettings) -> Clients:
    kafka, object_store = KafkaSettings(), ObjectStoreSettings()
    store_threads = stack.enter_context(ThreadPoolExecutor(settings.store_threads, "store"))
    database_threads = stack.enter_context(ThreadPoolExecutor(_DATABASE_THREADS, "database"))
    # Not entered: a name server that hangs must not hold up the end of the process.
    lookup_threads = ThreadPoolExecutor(_LOOKUP_THREADS, "lookup")
    stack.callback(lookup_threads.shutdown, wait=False, cancel_futures=True)
    engine = create_database(DatabaseSettings())
    stack.callback(engine.dispose)
    store = connect(object_store)
    stack.callback(store.close)
    public = object_store.public_endpoint_url
    presigning = create_client(object_store, endpoint_url=public) if public else store.client
    raw_producer = create_producer(kafka, linger_ms=0, delivery_timeout_ms=int(settings.produce_seconds_max * 1000))
    producer = EventProducer(raw_producer, kafka, source="api")
    stack.callback(producer.close)
    return Clients(
        store=store,
        sign_put=put_signer(presigning, object_store.uploads_bucket, settings.presign_seconds),
        engine=engine,
        producer=producer,
        dead_letters=DeadLetters(raw_producer),
        store_threads=store_threads,
        database_threads=database_threads,
        lookup_threads=lookup_threads,
    )


def _start_readers(stack: ExitStack, settings: ApiSettings, clients: Clients, waiters: Waiters) -> Readers:
    kafka = KafkaSettings()
    table = BalanceTable(AdmissionSettings().staleness_seconds_max)
    replies = ReplyReader(kafka, waiters, settings.reply_inspection_seconds)
    readers = Readers(BalanceReader(kafka, table), replies)
    retention = Retention(
        clients.engine,
        DocumentStore(clients.store, ObjectStoreSettings().results_bucket),
        kept_days=settings.results_kept_days,
        pause_seconds=settings.retention_pause_seconds,
    )
    lister = ResultLister(kafka, clients.engine, clients.dead_letters)
    gauges = BrokerGauges(kafka, clients.engine, table.staleness_seconds)
    for reader in (readers.balances, readers.replies, lister, gauges, retention):
        reader.start()
        stack.callback(reader.close)
    return readers


def _assemble(settings: ApiSettings, waiters: Waiters, clients: Clients, readers: Readers) -> Parts:
    object_store, table = ObjectStoreSettings(), readers.balances.table
    stores = Stores(
        clients.store,
        DocumentStore(clients.store, object_store.results_bucket),
        clients.engine,
        uploads_bucket=object_store.uploads_bucket,
        store_executor=clients.store_threads,
        database_executor=clients.database_threads,
    )
    keys = ApiKeys(clients.engine)
    buckets = BucketWatch(
        clients.store.require_bucket,
        (object_store.uploads_bucket, object_store.results_bucket),
        clients.store_threads,
    )
    return Parts(
        authenticator=Authenticator(keys, clients.database_threads, settings.key_cache_seconds),
        limiter=RateLimiter(settings.rate_limit_requests, settings.rate_limit_seconds),
        processor=Processor(
            lookups=stores,
            admission=table,
            pending=PendingWriter(clients.engine, clients.database_threads),
            sender=RequestSender(clients.producer, upload_spread=KafkaSettings().upload_spread),
            waiters=waiters,
            in_flight=InFlight(settings.waiters_max, settings.waiters_per_user_max),
            settings=settings,
        ),
        results=stores,
        uploads=Uploads(
            clients.sign_put, bytes_max=LimitSettings().bytes_max, presign_seconds=settings.presign_seconds
        ),
        storer=FileStorer(
            lambda key, file, media_type: clients.store.put_file(object_store.uploads_bucket, key, file, media_type),
            clients.store_threads,
            InFlight(settings.uploads_max, settings.uploads_per_user_max),
            bytes_max=LimitSettings().bytes_max,
            idle_seconds_max=settings.upload_idle_seconds_max,
            bytes_per_second_min=settings.upload_bytes_per_second_min,
            spool_dir=settings.spool_dir,
        ),
        pdfs=PdfMaker(
            lambda document, path: clients.store.download(
                document.bucket, document.key, document.etag, path, LimitSettings().bytes_max
            ),
            clients.store_threads,
            InFlight(settings.pdfs_max, settings.pdfs_max),
            PdfLimits(settings.pdf_memory_bytes_max, settings.pdf_seconds_max),
            settings.spool_dir,
        ),
        balances=table,
        ready=Readiness(
            [readers.replies.problem, lambda: balances_problem(table), buckets],
            lambda: in_thread(clients.database_threads, keys.ping),
        ),
        live=lambda: first_problem(
            readers.replies.stopped, readers.balances.stopped, lambda: producer_problem(clients.producer)
        ),
        webhooks=_webhooks(clients, stores),
        overview=Overviews(clients.engine, clients.database_threads, KafkaSettings(), table.posted_until),
        console_policy=_console_policy(clients.sign_put, object_store),
    )


def _webhooks(clients: Clients, stores: Stores) -> Webhooks:
    settings = WebhookSettings()
    return Webhooks(
        clients.engine,
        clients.database_threads,
        clients.lookup_threads,
        AddressPolicy.of(settings.allowed_networks).check_url,
        stores.document,
        secret_overlap=timedelta(hours=settings.secret_overlap_hours),
        lookups_in_flight=InFlight(_LOOKUP_THREADS, 1),
    )


def _console_policy(sign_put: SignPut, object_store: ObjectStoreSettings) -> str:
    """The console uploads to wherever a presigned URL points, and shows images from where their public URLs do."""
    try:
        upload_urls = [sign_put("ocr/console/any.jpg", "image/jpeg", 1)]
    except BotoCoreError as error:
        _log.warning("the console cannot upload to the store itself: %s", error)
        upload_urls = []  # It sends files through the API instead.
    return content_security_policy(upload_urls=upload_urls, image_urls=[object_store.file_url_base()])


if __name__ == "__main__":
    main()
