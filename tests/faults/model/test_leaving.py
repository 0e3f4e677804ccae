"""What an extractor leaves behind when its membership ends while it is at work."""

import threading
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from services.extractor.store_threads import StoreThreads
from services.runtime import groups
from tests.faults.model.recogniser import content
from tests.faults.model.world import UPLOADS_BUCKET, World

_KEY = "ocr/alice/a.png"


@pytest.mark.parametrize("lost_first", [False, True], ids=["open", "lost-before"])
def test_a_download_that_ends_after_its_membership_leaves_no_file(tmp_path: Path, lost_first: bool) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    world = World(spool, tmp_path / "unused.db")
    downloading, go_on = threading.Event(), threading.Event()
    download = world.store.download

    def slow_download(bucket: str, key: str, etag: str, path: Path, bytes_max: int) -> int:
        downloading.set()
        assert go_on.wait(10)
        return download(bucket, key, etag, path, bytes_max)

    try:
        with patch("services.extractor.worker.StoreThreads", StoreThreads):
            world.start(groups.EXTRACTOR)
        (replica,) = world.replicas[groups.EXTRACTOR]
        world.ask(_KEY, world.store.put(UPLOADS_BUCKET, _KEY, content(3, 1), "image/png"))
        with patch.object(world.store, "download", slow_download):
            deadline = time.monotonic() + 10
            while not downloading.is_set():
                assert time.monotonic() < deadline
                world.run(replica, 1)
            if lost_first:
                world.broker.expel(groups.EXTRACTOR, replica.consumer.member)
                world.run(replica, 2)
            leaving = threading.Thread(target=replica.leave)
            leaving.start()
            time.sleep(0.1)
            assert leaving.is_alive(), "it waits for its downloads"
            go_on.set()
            leaving.join(10)
    finally:
        go_on.set()
        world.close()
    assert list(spool.iterdir()) == []
