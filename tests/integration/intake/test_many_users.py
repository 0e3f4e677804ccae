"""More users than one answer of the store can name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from services.runtime.object_store import ObjectStore
from services.runtime.settings import ObjectStoreSettings


def test_every_user_is_named_though_the_answers_come_in_pages(
    store: ObjectStore, store_settings: ObjectStoreSettings
) -> None:
    bucket = store_settings.uploads_bucket
    folders = [f"ocr/user{number:04d}/" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda folder: store.put(bucket, f"{folder}a b+c.png", b"pixels", "image/png"), folders))

    assert list(store.list_folders(bucket, "ocr/")) == folders
    assert [found.key for found in store.list(bucket, "ocr/")] == [f"{folder}a b+c.png" for folder in folders]
