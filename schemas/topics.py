"""Every topic: who writes it, who reads it, its key, and how long it is kept."""

from dataclasses import dataclass
from hashlib import sha256

from schemas.events import (
    BalanceChanged,
    EntryPosted,
    Event,
    LedgerHeartbeat,
    OcrRequest,
    ResultCompleted,
    ResultFailed,
    ResultRefused,
    SweepReported,
    UsageRecorded,
)

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Topic:
    """A topic as provisioned; its name gets the configured prefix."""

    name: str
    description: str
    key: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    events: tuple[type[Event], ...]
    partitions: int = 12
    retention_ms: int = 7 * _DAY_MS
    compacted: bool = False
    message_bytes_max: int = 1024 * 1024
    is_lane: bool = False

    @property
    def dead_letters(self) -> str:
        """Where this topic's undecodable records go."""
        return f"{self.name}.dlq"


OBJECT_STORE_EVENTS = Topic(
    name="object-store.events",
    description="Notifications of the object store, in whatever shape it sends them. Hints, not facts.",
    key="whatever the object store chooses",
    producers=("the object store",),
    consumers=("intake",),
    events=(),
)
REQUESTS = Topic(
    name="ocr.requests",
    description="Requests somebody waits for.",
    key="resultId",
    producers=("api",),
    consumers=("extractor",),
    events=(OcrRequest,),
    is_lane=True,
)
UPLOADS = Topic(
    name="ocr.uploads",
    description="Requests nobody waits for: uploads, asynchronous POSTs, takeovers, long documents passed on.",
    key="userId and a small hash of the object key",
    producers=("intake", "api", "extractor", "ledger"),
    consumers=("extractor",),
    events=(OcrRequest,),
    is_lane=True,
)
RESULTS = Topic(
    name="ocr.results",
    description="What became of a request: completed, failed or refused.",
    key="resultId",
    producers=("extractor",),
    consumers=("api", "downstream"),
    events=(ResultCompleted, ResultFailed, ResultRefused),
)
USAGE = Topic(
    name="ocr.usage",
    description="What each terminal result costs. Kept long enough to restore the ledger from a backup.",
    key="userId",
    producers=("extractor",),
    consumers=("ledger", "downstream"),
    events=(UsageRecorded,),
    retention_ms=30 * _DAY_MS,
)
BALANCES = Topic(
    name="ledger.balances",
    description="The latest balance of every account, and a heartbeat for each partition of ocr.usage.",
    key="userId, or heartbeat/<partition>",
    producers=("ledger",),
    consumers=("api", "extractor", "intake", "downstream"),
    events=(BalanceChanged, LedgerHeartbeat),
    partitions=1,
    compacted=True,
)
ENTRIES = Topic(
    name="ledger.entries",
    description="Every entry of the ledger, in the order of each account.",
    key="userId",
    producers=("ledger",),
    consumers=("downstream",),
    events=(EntryPosted,),
    retention_ms=365 * _DAY_MS,
)
SWEEPS = Topic(
    name="ocr.sweeps",
    description="What the reconciler saw. Its single partition elects the one replica that reconciles.",
    key="none",
    producers=("intake",),
    consumers=("intake",),
    events=(SweepReported,),
    partitions=1,
)

TOPICS: tuple[Topic, ...] = (
    OBJECT_STORE_EVENTS,
    REQUESTS,
    UPLOADS,
    RESULTS,
    USAGE,
    BALANCES,
    ENTRIES,
    SWEEPS,
)

UPLOAD_SPREAD = 4
"""Default number of partitions of `ocr.uploads` that one user's flood can fill."""


def upload_key(user_id: str, object_key: str, spread: int = UPLOAD_SPREAD) -> str:
    """The record key on `ocr.uploads`: one user fills at most `spread` partitions, one object always the same."""
    bucket = int.from_bytes(sha256(object_key.encode()).digest()[:4], "big") % spread
    return f"{user_id}/{bucket}"
