"""HEADs of one bucket, for those who make hundreds a second."""

from services.runtime.object_store import ObjectStore, StoredObject, connect
from services.runtime.settings import ObjectStoreSettings


class QuickHeads:
    """HEADs objects of one bucket. Safe to share between threads."""

    def __init__(self, store: ObjectStore, settings: ObjectStoreSettings, bucket: str) -> None:
        del store
        self._store = connect(settings)
        self._bucket = bucket

    def __call__(self, key: str) -> StoredObject | None:
        """What lies under `key`, None if nothing does.

        Raises:
            StoreUnavailable: no answer, or an error of the store's own.
        """
        return self._store.head(self._bucket, key)

    def close(self) -> None:
        """Closes the connections."""
        self._store.close()
