"""A stop is nobody's fault: what ends the recogniser while the extractor is told to go does not count as a crash."""

import signal
from pathlib import Path

import psutil
import pytest

from schemas.events import ResultCompleted
from services.extractor.jobs import DEATHS_MAX
from tests.integration.extractor.asking import EXTRACTOR, await_results, results, uploaded
from tests.support.scripted_engine import SLOW, picture
from tests.support.stage import Stage, Worker, wait_for

# Starts are counted in the metadata of offsets, which the embedded broker does not keep.
pytestmark = pytest.mark.needs_real("kafka")


@pytest.mark.timeout(600)
def test_stops_that_end_the_recogniser_first_make_no_document_unreadable(stage: Stage, tmp_path: Path) -> None:
    """As a container's stop may do it: the child dies, then the parent is told; more often than crashes are allowed."""
    stage.ask(uploaded(stage, "a.png", picture(words=3, script=SLOW)))
    for stop in range(DEATHS_MAX + 1):
        pages = tmp_path / f"pages-{stop}.log"
        worker = stage.start(
            EXTRACTOR,
            SCRIPTED_SLOW_SECONDS="600",
            SCRIPTED_PAGES_LOG=str(pages),
            OCR_EXTRACTOR_DRAIN_SECONDS_MAX="2",
        )
        wait_for(pages.exists, "the page is being read", 90)
        _kill_recogniser(worker)
        worker.signal(signal.SIGTERM)
        assert worker.wait(90) == 0, worker.output()[-2000:]
    assert results(stage) == []
    stage.start_ready(EXTRACTOR, SCRIPTED_SLOW_SECONDS="0")
    await_results(stage, 1, 90)
    assert stage.read.events(ResultCompleted)[0].word_count == 3


def _kill_recogniser(worker: Worker) -> None:
    """Kills what reads the pages, and waits until it is gone."""
    (child,) = psutil.Process(worker.process.pid).children()
    child.kill()
    psutil.wait_procs([child], timeout=30)
