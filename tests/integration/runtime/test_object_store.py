"""What the services rely on of an object store: on a real one by both ways, and on one that misbehaves."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.runtime.errors import BucketMissing, Halt, StoreUnavailable
from services.runtime.object_store import (
    ObjectChanged,
    ObjectGone,
    ObjectStore,
    ObjectTooLarge,
    PreconditionFailed,
    connect,
    create_client,
)
from services.runtime.probe import probe_conditional_writes
from services.runtime.provisioning import ensure_bucket
from services.runtime.settings import ObjectStoreSettings
from tests.support.misbehaving_store import Misbehaviour, misbehaving_store
from tests.support.parts import ObjectStorePart

KEYS = ["ocr/alice/plain.png", "ocr/alice/a b+c~d.png", "ocr/alice/grün%2520.png", "ocr/alice/'(!*)&=@:,$?#.png"]


@pytest.fixture(params=["short way", "boto3 alone"])
def store(request: pytest.FixtureRequest, object_store: ObjectStorePart) -> ObjectStore:
    settings = ObjectStoreSettings.model_validate(
        {
            "endpoint_url": object_store.endpoint_url,
            "region": object_store.region,
            "access_key": object_store.access_key,
            "secret_key": object_store.secret_key,
        }
    )
    return connect(settings) if request.param == "short way" else ObjectStore(create_client(settings))


@pytest.fixture
def bucket(store: ObjectStore, bucket_prefix: str) -> str:
    name = f"{bucket_prefix}things"
    ensure_bucket(store, name)
    return name


def test_a_file_is_put_whole_wherever_it_stood(store: ObjectStore, bucket: str, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        file.write(b"x" * 3_000_000)
        store.put_file(bucket, "ocr/alice/large.bin", file, "application/pdf")
    found = store.head(bucket, "ocr/alice/large.bin")
    assert found is not None
    assert (found.size_bytes, found.content_type) == (3_000_000, "application/pdf")


@pytest.fixture
def misbehaving() -> Iterator[tuple[ObjectStoreSettings, Misbehaviour]]:
    with misbehaving_store() as pair:
        yield pair


@pytest.mark.parametrize("key", KEYS)
def test_what_was_put_is_found_listed_read_and_downloaded(
    store: ObjectStore, bucket: str, key: str, tmp_path: Path
) -> None:
    etag = store.put(bucket, key, b"content", "text/plain")
    head = store.head(bucket, key)
    assert head is not None
    assert (head.etag, head.size_bytes) == (etag, 7)
    assert [(found.key, found.etag) for found in store.list(bucket, "ocr/alice/")] == [(key, etag)]
    assert store.read(bucket, key) == (b"content", etag)
    assert store.download(bucket, key, etag, tmp_path / "file", 7) == 7
    assert (tmp_path / "file").read_bytes() == b"content"


def test_what_is_not_there_is_none_and_cannot_be_downloaded(store: ObjectStore, bucket: str, tmp_path: Path) -> None:
    assert store.head(bucket, "ocr/alice/none.png") is None
    assert store.read(bucket, "ocr/alice/none.png") is None
    with pytest.raises(ObjectGone):
        store.download(bucket, "ocr/alice/none.png", "etag", tmp_path / "file", 10)


def test_where_the_bucket_is_missing_nothing_is_said_of_what_lies_in_it(store: ObjectStore, bucket: str) -> None:
    missing = f"{bucket}-missing"
    for _ in range(2):
        with pytest.raises(BucketMissing, match=missing):
            store.head(missing, "ocr/alice/none.png")
        with pytest.raises(StoreUnavailable):
            store.read(missing, "ocr/alice/none.png")
    ensure_bucket(store, missing)
    assert store.head(missing, "ocr/alice/none.png") is None


def test_the_bucket_is_asked_for_once_in_a_while_and_only_where_nothing_lies(
    misbehaving: tuple[ObjectStoreSettings, Misbehaviour],
) -> None:
    settings, behaviour = misbehaving
    store = connect(settings)
    store.put("bucket", "key", b"content", "text/plain")
    behaviour.requests.clear()
    assert store.head("bucket", "key") is not None
    assert behaviour.requests == ["HEAD"]
    assert [store.head("bucket", "none") for _ in range(3)] == [None] * 3
    assert behaviour.requests == ["HEAD"] * 5, "the object four times, the bucket once"


def test_a_download_is_pinned_to_its_etag(store: ObjectStore, bucket: str, tmp_path: Path) -> None:
    old = store.put(bucket, "ocr/alice/a.png", b"old", "text/plain")
    store.put(bucket, "ocr/alice/a.png", b"new", "text/plain")
    with pytest.raises(ObjectChanged):
        store.download(bucket, "ocr/alice/a.png", old, tmp_path / "file", 10)


def test_more_bytes_than_allowed_are_not_read(store: ObjectStore, bucket: str, tmp_path: Path) -> None:
    etag = store.put(bucket, "ocr/alice/a.png", b"x" * 11, "text/plain")
    with pytest.raises(ObjectTooLarge, match="11 bytes"):
        store.download(bucket, "ocr/alice/a.png", etag, tmp_path / "file", 10)
    assert not (tmp_path / "file").exists()


def test_a_second_create_is_refused_and_changes_nothing(store: ObjectStore, bucket: str) -> None:
    etag = store.create(bucket, "ocr/alice/a.json", b"first", "application/json")
    with pytest.raises(PreconditionFailed):
        store.create(bucket, "ocr/alice/a.json", b"second", "application/json")
    assert store.read(bucket, "ocr/alice/a.json") == (b"first", etag)


def test_a_replacement_needs_the_version_it_saw(store: ObjectStore, bucket: str) -> None:
    old = store.create(bucket, "ocr/alice/a.json", b"first", "application/json")
    new = store.replace(bucket, "ocr/alice/a.json", b"second", "application/json", old)
    with pytest.raises(PreconditionFailed):
        store.replace(bucket, "ocr/alice/a.json", b"third", "application/json", old)
    assert store.read(bucket, "ocr/alice/a.json") == (b"second", new)


def test_a_deletion_of_one_version_needs_that_version(store: ObjectStore, bucket: str) -> None:
    old = store.create(bucket, "key", b"old", "text/plain")
    new = store.replace(bucket, "key", b"new", "text/plain", old)
    with pytest.raises(PreconditionFailed):
        store.delete_version(bucket, "key", old)
    assert store.read(bucket, "key") == (b"new", new)
    store.delete_version(bucket, "key", new)
    assert store.read(bucket, "key") is None
    store.delete_version(bucket, "key", new)


def test_the_probe_passes_a_store_that_keeps_its_word_and_leaves_nothing(store: ObjectStore, bucket: str) -> None:
    probe_conditional_writes(store, bucket)
    assert list(store.list(bucket, "")) == []


def test_a_listing_goes_on_over_its_pages_and_starts_after_a_key(store: ObjectStore, bucket: str) -> None:
    keys = [f"ocr/alice/{number:04}.png" for number in range(1005)]
    for key in keys:
        store.put(bucket, key, b"", "text/plain")
    assert [found.key for found in store.list(bucket, "ocr/")] == keys
    assert [found.key for found in store.list(bucket, "ocr/", start_after=keys[1000])] == keys[1001:]
    assert list(store.list_folders(bucket, "ocr/")) == ["ocr/alice/"]


def test_the_probe_refuses_a_store_that_ignores_conditions(
    misbehaving: tuple[ObjectStoreSettings, Misbehaviour],
) -> None:
    settings, behaviour = misbehaving
    behaviour.ignores_conditions = True
    with pytest.raises(Halt, match="If-None-Match"):
        probe_conditional_writes(connect(settings), "things")


def test_an_error_of_the_store_is_tried_again(misbehaving: tuple[ObjectStoreSettings, Misbehaviour]) -> None:
    settings, behaviour = misbehaving
    behaviour.objects["things/a"] = b"content"
    behaviour.answers_500 = 2
    found = connect(settings).read("things", "a")
    assert found is not None
    assert found[0] == b"content"


def test_a_store_that_stays_away_is_a_passing_trouble(
    misbehaving: tuple[ObjectStoreSettings, Misbehaviour],
) -> None:
    settings, behaviour = misbehaving
    behaviour.answers_500 = 100
    with pytest.raises(StoreUnavailable):
        connect(settings).read("things", "a")


@pytest.mark.parametrize("short", [True, False])
def test_a_cut_body_is_a_passing_trouble(
    misbehaving: tuple[ObjectStoreSettings, Misbehaviour], tmp_path: Path, short: bool
) -> None:
    settings, behaviour = misbehaving
    store = connect(settings) if short else ObjectStore(create_client(settings))
    behaviour.objects["things/a"] = b"x" * 100_000
    behaviour.cut_bodies = 1
    etag = store.head("things", "a")
    assert etag is not None
    with pytest.raises(StoreUnavailable):
        store.download("things", "a", etag.etag, tmp_path / "file", 1_000_000)
    assert store.download("things", "a", etag.etag, tmp_path / "file", 1_000_000) == 100_000


def test_a_create_whose_response_is_lost_finds_its_own_object(
    misbehaving: tuple[ObjectStoreSettings, Misbehaviour],
) -> None:
    settings, behaviour = misbehaving
    behaviour.lost_responses = 1
    store = connect(settings)
    with pytest.raises(PreconditionFailed):
        store.create("things", "a", b"mine", "text/plain")
    found = store.read("things", "a")
    assert found is not None
    assert found[0] == b"mine"


def test_a_conflict_of_conditional_writes_is_asked_again(
    misbehaving: tuple[ObjectStoreSettings, Misbehaviour],
) -> None:
    settings, behaviour = misbehaving
    behaviour.answers_409 = 3
    assert connect(settings).create("things", "a", b"mine", "text/plain")
    assert behaviour.objects["things/a"] == b"mine"


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("head_bytes", [17, 60])
def test_an_answer_cut_within_its_head_is_a_passing_trouble(
    misbehaving: tuple[ObjectStoreSettings, Misbehaviour], tmp_path: Path, head_bytes: int, short: bool
) -> None:
    settings, behaviour = misbehaving
    store = connect(settings) if short else ObjectStore(create_client(settings))
    behaviour.objects["things/a"] = b"content"
    found = store.head("things", "a")
    assert found is not None
    calls: list[Callable[[], object]] = [
        lambda: store.head("things", "a"),
        lambda: store.read("things", "a"),
        lambda: store.download("things", "a", found.etag, tmp_path / "file", 10),
        lambda: store.put("things", "b", b"other", "text/plain"),
    ]
    behaviour.cut_head_bytes = head_bytes
    for call in calls:
        behaviour.cut_heads = 10
        with pytest.raises(StoreUnavailable):
            call()
    behaviour.cut_heads = 0
    assert store.head("things", "a") == found


def test_a_connection_cut_before_the_body_is_asked_for_keeps_no_thread_busy(
    misbehaving: tuple[ObjectStoreSettings, Misbehaviour],
) -> None:
    settings, behaviour = misbehaving
    behaviour.cut_continues = 1
    ended = threading.Event()

    def write() -> None:
        ObjectStore(create_client(settings)).put("bucket", "key", b"body", "text/plain")
        ended.set()

    threading.Thread(target=write, daemon=True).start()
    assert ended.wait(60)
    assert behaviour.objects == {"bucket/key": b"body"}
