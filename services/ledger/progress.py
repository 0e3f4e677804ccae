"""How far each partition is, and up to which moment it is honestly posted. Pure; knows no Kafka."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass
class Progress:
    """One partition that this process owns."""

    next_offset: int | None
    """Where it stands in SQL; None: nothing of it was ever posted."""
    posted_until: datetime | None = None
    """The broker's time of the last record posted, or a later moment at which nothing was left to post."""
    end_seen: int | None = None
    """The offset of the partition's end, when the last thing read was that end."""
    pending: bool = False
    """A record was read that is not posted yet."""
    beaten_at: float = float("-inf")
    """The clock's seconds at the last heartbeat."""
    caught_up: bool = False
    """That heartbeat said that nothing was left to post."""

    def record_read(self) -> None:
        """A record came: whatever end was seen before is no longer the end."""
        self.pending = True
        self.end_seen = None

    def end_read(self, offset: int) -> None:
        """The broker said that nothing lies beyond `offset`."""
        self.end_seen = offset

    def posted(self, next_offset: int, until: datetime | None) -> None:
        """All that was read is posted."""
        self.next_offset = next_offset
        self.posted_up_to(until)
        self.pending = False

    def posted_up_to(self, moment: datetime | None) -> None:
        """What was posted once stays posted: the moment never goes back."""
        if moment is not None and (self.posted_until is None or moment > self.posted_until):
            self.posted_until = moment

    def is_at_end(self, end: int | None) -> bool:
        """Whether nothing is left to post, `end` being where the broker says now that the partition ends.

        Control records take offsets too, so what was posted may lie a little before the end; but the end that
        was read may not. An end beyond it may be of a transaction that is still open: not posted, to be honest.
        Where the broker cannot be asked (`end` is None) the end that was read has to do.
        """
        return self.end_seen is not None and not self.pending and (end is None or end <= self.end_seen)

    def is_beat_due(self, clock: float, interval_seconds: float) -> bool:
        """Whether it is time for a heartbeat: every interval, and at once when the end is reached."""
        return clock - self.beaten_at >= interval_seconds or (not self.caught_up and self.is_at_end(None))

    def beaten(self, clock: float) -> None:
        """A heartbeat is sent."""
        self.beaten_at = clock
        self.caught_up = self.is_at_end(None)


def posted_until(
    owned: Mapping[int, Progress], ends: Mapping[int, int | None], asked_at: datetime
) -> dict[int, datetime]:
    """Up to which moment each owned partition is posted; one of which nothing can be said is missing.

    Args:
        owned: progress by partition.
        ends: the partitions' ends as the broker gave them, after `asked_at`; a partition it did not answer for
            is missing and not taken to be at its end.
        asked_at: the moment that a partition at its end is posted up to.
    """
    for number, progress in owned.items():
        if number in ends and progress.is_at_end(ends[number]):
            progress.posted_up_to(asked_at)
    return {number: progress.posted_until for number, progress in owned.items() if progress.posted_until is not None}
