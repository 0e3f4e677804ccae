"""What no header tells: files that take time or memory without end, in the child that reads them."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.events import ErrorCode, ResultCompleted, ResultFailed, UsageRecorded
from services.extractor.child import Open, ReadAtOnce
from services.extractor.recogniser import ChildBounds, Recogniser
from services.recognition.document import Limits
from tests.integration.extractor.asking import EXTRACTOR, await_results, uploaded
from tests.support import bombs
from tests.support.scripted_engine import ScriptedEngine, picture
from tests.support.stage import Stage, wait_for

_PAGE_SECONDS_MAX = 4.0
_MEMORY_MB_MAX = 400

_ENDLESS: dict[str, Callable[[], bytes]] = {
    "pattern.pdf": bombs.pdf_of_a_pattern,
    "content.pdf": lambda: bombs.pdf_of_long_content(600_000_000),
}
_TOO_MUCH: dict[str, Callable[[], bytes]] = {
    "side.png": lambda: bombs.png(65_000, 2_000),
    "screen.gif": lambda: bombs.gif_that_claims((65_535, 65_535), (8, 8)),
    "sides.jpg": lambda: bombs.jpeg_that_claims(65_000, 65_000),
    "thumbnails.tif": lambda: bombs.tiff_of_thumbnails(20_000),
    "pages.pdf": lambda: bombs.pdf(pages=300),
}


@pytest.mark.needs_real("kafka")
@pytest.mark.timeout(900)
def test_each_bomb_ends_as_a_failed_result_that_costs_nothing_and_its_neighbours_are_read(stage: Stage) -> None:
    worker = stage.start_ready(
        EXTRACTOR,
        OCR_LIMITS_PAGE_SECONDS_MAX=str(_PAGE_SECONDS_MAX),
        OCR_EXTRACTOR_CHILD_MEMORY_MB_MAX=str(_MEMORY_MB_MAX),
    )
    asked = [uploaded(stage, name, make()) for name, make in (_ENDLESS | _TOO_MUCH).items()]
    neighbours = [uploaded(stage, f"{number}.png", picture(seed=number)) for number in range(len(asked))]
    for bomb, neighbour in zip(asked, neighbours, strict=True):
        stage.ask(bomb, upload=True)
        stage.ask(neighbour, upload=True)
    await_results(stage, 2 * len(asked), 600)
    failed = {event.key.rsplit("/", 1)[1]: event for event in stage.read.events(ResultFailed)}
    assert {name: event.error.code for name, event in failed.items()} == (
        dict.fromkeys(_ENDLESS, ErrorCode.UNREADABLE_DOCUMENT) | dict.fromkeys(_TOO_MUCH, ErrorCode.FILE_TOO_LARGE)
    )
    assert all("ended the recogniser" in failed[name].error.reason for name in _ENDLESS)
    read = {event.result_id for event in stage.read.events(ResultCompleted)}
    assert read == {request.result_id for request in neighbours}
    wait_for(lambda: len(stage.read.events(UsageRecorded)) == 2 * len(asked), "usage")
    assert {usage.result_id for usage in stage.read.events(UsageRecorded) if usage.tokens} == read
    assert worker.exit_status is None


def test_a_picture_as_large_as_allowed_is_read_within_the_memory_that_is_allowed(tmp_path: Path) -> None:
    """A quarter of the pixels in a quarter of the memory: copies of the whole picture would not fit."""
    path = tmp_path / "whole.png"
    path.write_bytes(bombs.png(5_200, 5_000, colour_type=6))
    recogniser = Recogniser(ScriptedEngine, Limits(), ChildBounds(120.0, _MEMORY_MB_MAX, _MEMORY_MB_MAX, 1000))
    recogniser.start()
    try:
        wait_for(lambda: recogniser.collect() is None and recogniser.idle, "the child is there", 120)
        recogniser.submit(Open(path))
        while (answer := recogniser.collect()) is None:
            time.sleep(0.02)
        assert isinstance(answer, ReadAtOnce), answer
    finally:
        recogniser.close()
