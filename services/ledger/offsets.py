"""How far each partition of `ocr.usage` is posted: kept in SQL, moved in the transaction of the postings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from services.ledger.tables import usage_offsets
from services.runtime.database import reading, transaction


@dataclass(frozen=True)
class Position:
    """Where a partition stands: the offset to read next, and the broker's time of the last record posted."""

    next_offset: int
    posted_until: datetime | None


@dataclass(frozen=True)
class Span:
    """The stretch of a partition that a batch covers."""

    begin: int | None
    """Where its consumer believes that the partition stands; None: nothing of it was ever posted."""
    end: int
    """The offset to read next once it is posted."""
    posted_until: datetime | None = None


class Rewound(Exception):
    """The stored offset lies before what a batch builds upon: the database was restored, or offsets cleared.

    Posting the batch would jump over what lies between; the partitions have to be read again from there.
    """

    def __init__(self, stored: Mapping[int, int | None]) -> None:
        super().__init__(f"stored offsets went back: {dict(stored)}")
        self.stored = stored


def read_positions(engine: Engine, partitions: Collection[int]) -> dict[int, Position]:
    """Where these partitions stand; those of which nothing was ever posted are missing."""
    with reading(engine) as connection:
        return _positions(connection, partitions, lock=False)


def lock_positions(connection: Connection, spans: Mapping[int, Span]) -> dict[int, Position]:
    """Where these partitions stand, held until the transaction ends.

    Raises:
        Rewound: one of them stands before the beginning of its span.
    """
    positions = _positions(connection, spans, lock=True)
    stored = {partition: positions[partition].next_offset if partition in positions else None for partition in spans}
    back = {
        partition: stored[partition]
        for partition, span in spans.items()
        if span.begin is not None and (stored[partition] or 0) < span.begin
    }
    if back:
        raise Rewound(back)
    return positions


def advance(connection: Connection, spans: Mapping[int, Span]) -> None:
    """Moves each partition to the end of its span, never back: a replica that slept may come late."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for partition, span in sorted(spans.items()):
        statement = dialect.insert(usage_offsets).values(
            partition=partition, next_offset=span.end, posted_until=span.posted_until
        )
        new = {"next_offset": statement.excluded.next_offset, "posted_until": statement.excluded.posted_until}
        further = usage_offsets.c.next_offset < statement.excluded.next_offset
        connection.execute(statement.on_conflict_do_update(index_elements=["partition"], set_=new, where=further))


def clear_offsets(engine: Engine, partitions: Collection[int] | None = None) -> None:
    """Forgets how far usage was read, of all or some partitions: they are read again from their beginning.

    Called when the broker begins anew and empty. Nothing is posted twice: usage ids stay unique for ever.
    """
    statement = delete(usage_offsets)
    if partitions is not None:
        statement = statement.where(usage_offsets.c.partition.in_(partitions))
    with transaction(engine) as connection:
        connection.execute(statement)


def _positions(connection: Connection, partitions: Collection[int], *, lock: bool) -> dict[int, Position]:
    statement = select(usage_offsets).where(usage_offsets.c.partition.in_(partitions))
    if lock:
        statement = statement.order_by(usage_offsets.c.partition).with_for_update()
    return {row.partition: Position(row.next_offset, row.posted_until) for row in connection.execute(statement)}
