"""Whether the object store keeps the promise everything rests on: of many conditional writers, one wins."""

import uuid
from concurrent.futures import ThreadPoolExecutor

from services.runtime.errors import Halt, StoreUnavailable
from services.runtime.object_store import ObjectStore, PreconditionFailed

_WRITERS = 16
_PREFIX = ".probe/"


def probe_conditional_writes(store: ObjectStore, bucket: str, writers: int = _WRITERS) -> None:
    """Races creates, then replacements, of one key, and tidies up.

    Raises:
        Halt: several writers won: on such a store results would be published twice.
        StoreUnavailable: the store did not answer, or not the one that won, whose repeated request is refused.
    """
    key = f"{_PREFIX}{uuid.uuid4()}"
    try:
        with ThreadPoolExecutor(writers) as pool:
            created = list(pool.map(lambda n: _create(store, bucket, key, n), range(writers)))
            etag = _only_winner(created, "If-None-Match: *")
            replaced = list(pool.map(lambda n: _replace(store, bucket, key, n, etag), range(writers)))
            _only_winner(replaced, "If-Match")
    finally:
        store.delete(bucket, key)


def _create(store: ObjectStore, bucket: str, key: str, number: int) -> str | None:
    try:
        return store.create(bucket, key, f"created by {number}".encode(), "text/plain")
    except PreconditionFailed:
        return None


def _replace(store: ObjectStore, bucket: str, key: str, number: int, etag: str) -> str | None:
    try:
        return store.replace(bucket, key, f"replaced by {number}".encode(), "text/plain", etag)
    except PreconditionFailed:
        return None


def _only_winner(outcomes: list[str | None], condition: str) -> str:
    winners = [etag for etag in outcomes if etag is not None]
    if not winners:
        raise StoreUnavailable(f"of {len(outcomes)} concurrent writers with {condition} none was told that it won")
    if len(winners) > 1:
        raise Halt(
            f"the object store does not honour {condition}: {len(winners)} of {len(outcomes)} concurrent writers "
            "won where one should; results could be charged twice on it, so nothing is started"
        )
    return winners[0]
