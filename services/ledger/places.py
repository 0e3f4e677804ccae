"""Where the reading of a partition begins: at its stored offset, if the topic still has it."""

import logging
from collections.abc import Collection

from sqlalchemy import Engine

from services.ledger.ends import Ends
from services.ledger.offsets import Position, Span, advance, clear_offsets, read_positions
from services.runtime.database import transaction

_log = logging.getLogger(__name__)


class Places:
    """Looks stored offsets up, and mends those that the topic has outlived or lost."""

    def __init__(self, engine: Engine, ends: Ends | None) -> None:
        """`ends` is None where the broker cannot be trusted about them (the embedded one)."""
        self._engine = engine
        self._ends = ends

    def __call__(self, partitions: Collection[int]) -> dict[int, Position]:
        """Where these partitions stand; those of which nothing was ever posted are missing.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        positions = read_positions(self._engine, partitions)
        if self._ends is None or not positions:
            return positions
        extents = self._ends.extents(positions)
        for number, extent in extents.items():
            stored = positions[number].next_offset
            if stored > extent.high:
                self._begin_anew(number, stored, extent.high)
            elif stored < extent.low:
                self._skip_expired(number, stored, extent.low)
        return read_positions(self._engine, partitions)

    def _begin_anew(self, partition: int, stored: int, high: int) -> None:
        # Offsets start over with a topic, usage ids do not: reading all of it again charges nobody twice.
        _log.error(
            "partition %d of usage ends at %d, before its stored offset %d: the topic was made anew or lost its "
            "tail; it is read from its beginning",
            *(partition, high, stored),
        )
        clear_offsets(self._engine, [partition])

    def _skip_expired(self, partition: int, stored: int, low: int) -> None:
        _log.error(
            "usage of partition %d from offset %d to %d expired before it was posted: it is not charged",
            *(partition, stored, low - 1),
        )
        with transaction(self._engine) as connection:
            advance(connection, {partition: Span(stored, low)})
