"""The sweep's parts, joined. Imported only where it runs: the client of the object store is half of the memory."""

from functools import partial

from sqlalchemy import Engine

from services.ledger.lane_offsets import LaneOffsets
from services.ledger.settings import LedgerSettings
from services.ledger.sweep import Sweep
from services.ledger.sweeper import requester
from services.runtime.admission import BalanceTable
from services.runtime.documents import DocumentStore
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.producing import EventProducer
from services.runtime.settings import KafkaSettings, ObjectStoreSettings

_DOCUMENTS = "ocr/"


def wire_sweep(
    kafka: KafkaSettings,
    ledger: LedgerSettings,
    store_settings: ObjectStoreSettings,
    engine: Engine,
    producer: EventProducer,
    heartbeats: BalanceTable,
) -> Sweep:
    """A sweep over the results bucket."""
    store = ObjectStore(create_client(store_settings))
    bucket = store_settings.results_bucket
    return Sweep(
        engine,
        partial(store.list, bucket, _DOCUMENTS),
        DocumentStore(store, bucket).read,
        LaneOffsets(kafka),
        heartbeats.posted_until,
        requester(producer, kafka.upload_spread),
        grace_seconds=ledger.sweep_grace_seconds,
        takeovers_per_second_max=ledger.sweep_takeovers_per_second_max,
    )
