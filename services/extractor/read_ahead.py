"""Records that were read from their partition and are not open yet. Pure: knows no Kafka.

At most one record of a partition is out at a time. The next ones are kept here, so that a partition need not stop
and start for each: stopping throws away what the client has fetched, and the broker sends it again.
"""

from collections import deque
from typing import Generic, TypeVar

from services.extractor.jobs import Partition

M = TypeVar("M")


class ReadAhead(Generic[M]):
    """Holds some records a partition. Whatever is held was not begun: it may be dropped, and is read again."""

    def __init__(self, records_max: int) -> None:
        self._records_max = records_max
        self._waiting: dict[Partition, deque[M]] = {}
        self._out: set[Partition] = set()
        self._stopped: set[Partition] = set()

    def add(self, partition: Partition, record: M) -> bool:
        """Keeps a record; true when from now on no more of its partition is to be read for a while."""
        waiting = self._waiting.setdefault(partition, deque())
        waiting.append(record)
        if len(waiting) < self._records_max or partition in self._stopped:
            return False
        self._stopped.add(partition)
        return True

    @property
    def is_ready(self) -> bool:
        """Whether `take` would give anything."""
        return any(partition not in self._out for partition in self._waiting)

    def take(self) -> list[M]:
        """The next record of each partition that has none out; these are out until `finished`."""
        free = [partition for partition in self._waiting if partition not in self._out]
        taken = [self._waiting[partition].popleft() for partition in free]
        for partition in free:
            if not self._waiting[partition]:
                del self._waiting[partition]
        self._out.update(free)
        return taken

    def finished(self, partition: Partition) -> bool:
        """The partition's record is no longer out; true when its partition is to be read on."""
        self._out.discard(partition)
        if partition not in self._stopped or len(self._waiting.get(partition, ())) > self._records_max // 2:
            return False
        self._stopped.discard(partition)
        return True

    def drop(self, partition: Partition) -> None:
        """Forgets all of a partition: it is another's now, or is read again from an earlier place."""
        self._waiting.pop(partition, None)
        self._out.discard(partition)
        self._stopped.discard(partition)

    def drop_waiting(self) -> None:
        """Forgets what is not out."""
        self._waiting.clear()
