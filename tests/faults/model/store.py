"""An object store of memory, with conditional writes, whose answers may be lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import md5
from pathlib import Path

from services.runtime.errors import StoreUnavailable
from services.runtime.object_store import ObjectChanged, ObjectGone, ObjectStore, PreconditionFailed, StoredObject


class MemoryStore(ObjectStore):
    """Objects by bucket and key."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.objects: dict[tuple[str, str], tuple[bytes, StoredObject]] = {}
        self.away = False
        self.passing: Callable[[str], None] = lambda _point: None
        """Called at points where who writes a document may die, or fall asleep, or not hear the answer."""

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> str:
        """As `ObjectStore`."""
        etag = md5(body, usedforsecurity=False).hexdigest()
        self.objects[bucket, key] = body, StoredObject(key, etag, len(body), self._now(), content_type)
        return etag

    def head(self, bucket: str, key: str) -> StoredObject | None:
        """As `ObjectStore`."""
        self._answer()
        found = self.objects.get((bucket, key))
        return found[1] if found else None

    def read(self, bucket: str, key: str) -> tuple[bytes, str] | None:
        """As `ObjectStore`."""
        self._answer()
        found = self.objects.get((bucket, key))
        return (found[0], found[1].etag) if found else None

    def download(self, bucket: str, key: str, etag: str, path: Path, bytes_max: int) -> int:  # noqa: ARG002
        """As `ObjectStore`."""
        self._answer()
        found = self.objects.get((bucket, key))
        if found is None:
            raise ObjectGone(key)
        if found[1].etag != etag:
            raise ObjectChanged(key)
        return path.write_bytes(found[0])

    def create(self, bucket: str, key: str, body: bytes, content_type: str) -> str:
        """As `ObjectStore`."""
        self._answer()
        self.passing("before the document")
        if (bucket, key) in self.objects:
            raise PreconditionFailed(key)
        etag = self.put(bucket, key, body, content_type)
        self.passing("after the document")
        return etag

    def replace(self, bucket: str, key: str, body: bytes, content_type: str, etag: str) -> str:
        """As `ObjectStore`."""
        self._answer()
        found = self.objects.get((bucket, key))
        if found is None or found[1].etag != etag:
            raise PreconditionFailed(key)
        return self.put(bucket, key, body, content_type)

    def list(self, bucket: str, prefix: str, start_after: str = "") -> Iterator[StoredObject]:
        """As `ObjectStore`."""
        self._answer()
        for (in_bucket, key), (_, stored) in sorted(self.objects.items(), key=lambda item: item[0]):
            if in_bucket == bucket and key.startswith(prefix) and key > start_after:
                yield stored

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
