"""What the embedded stack does not guarantee, said wherever it starts."""

from __future__ import annotations

EMBEDDED_LIMITS = (
    "The broker lives in memory: events, groups and offsets are gone after a restart. Objects, documents, balances "
    "and entries stay in the data directory, and the sweeps request anew what the broker forgot.",
    "The broker accepts stale group metadata and shows aborted messages to consumers of committed ones: one "
    "extractor runs here, and consumers must recognise an event id or result id that they have seen.",
    "The object store verifies presigned URLs and no other signatures: anyone on this machine may read and write the "
    "buckets.",
    "One machine, one replica of each service. Production runs on Apache Kafka, S3 and PostgreSQL: docker-compose.yml.",
)
