"""The parts of the audit against the documents, joined for one run of the command."""

from datetime import datetime
from functools import partial

from sqlalchemy import Engine

from services.ledger.document_audit import DocumentAudit, audit_documents
from services.ledger.lane_offsets import LaneOffsets
from services.ledger.orphans import Orphans
from services.runtime.admission import BalanceReader, BalanceTable
from services.runtime.documents import DocumentStore
from services.runtime.object_store import connect
from services.runtime.settings import AdmissionSettings, KafkaSettings, ObjectStoreSettings

_DOCUMENTS = "ocr/"


def run_document_audit(
    engine: Engine,
    kafka: KafkaSettings,
    store_settings: ObjectStoreSettings,
    *,
    since: datetime | None,
    grace_seconds: float,
) -> DocumentAudit:
    """Compares the ledger with the results bucket. Raises as `audit_documents`."""
    objects = connect(store_settings)
    documents = DocumentStore(objects, store_settings.results_bucket)
    heartbeats = BalanceReader(kafka, BalanceTable(AdmissionSettings().staleness_seconds_max))
    heartbeats.start()
    listing = partial(objects.list, documents.bucket, _DOCUMENTS)
    try:
        return audit_documents(
            engine,
            documents.read,
            Orphans(engine, listing, documents.read, LaneOffsets(kafka), grace_seconds=grace_seconds),
            heartbeats.table.posted_until,
            since=since,
        )
    finally:
        heartbeats.close()
        objects.close()
