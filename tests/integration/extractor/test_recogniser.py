"""The recognising child, for real: a process that is given pictures that kill it."""

import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.extractor.child import (
    Broken,
    Judge,
    Judged,
    Open,
    Opened,
    PageRead,
    ReadAtOnce,
    ReadPage,
    Task,
    Unreadable,
)
from services.extractor.recogniser import ChildBounds, Died, Recogniser
from services.recognition.document import Limits
from services.recognition.engine import PageWords
from services.runtime.errors import Halt
from tests.support.scripted_engine import BREAK, CRASH, HANG, ScriptedEngine, picture

Ask = Callable[[Task], object]

_MORE_THAN_A_PIPE_HOLDS = 400
"""Messages: a socket's buffer of 208 KiB holds some 280 of them, however short they are."""


def _bounds(**changes: float) -> ChildBounds:
    values = {"page_seconds_max": 20.0, "memory_mb_max": 2000, "memory_mb_recycle": 2000, "documents_max": 1000}
    return ChildBounds(**(values | changes))  # type: ignore[arg-type]


def _started(bounds: ChildBounds) -> Recogniser:
    recogniser = Recogniser(ScriptedEngine, Limits(), bounds)
    recogniser.start()
    _wait(recogniser, lambda: recogniser.idle)
    return recogniser


def _wait(recogniser: Recogniser, until: Callable[[], bool]) -> object:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = recogniser.collect()
        if answer is not None or until():
            return answer
        time.sleep(0.005)
    raise AssertionError("no answer")


@pytest.fixture(scope="module")
def recogniser() -> Iterator[Recogniser]:
    started = _started(_bounds(page_seconds_max=60.0))
    yield started
    started.close()


@pytest.fixture
def ask(recogniser: Recogniser) -> Ask:
    def call(task: Task) -> object:
        _wait(recogniser, lambda: recogniser.idle)
        recogniser.submit(task)
        return _wait(recogniser, lambda: False)

    return call


def _file(tmp_path: Path, body: bytes) -> Path:
    path = tmp_path / "object"
    path.write_bytes(body)
    return path


def test_a_document_is_opened_read_and_judged(ask: Ask, tmp_path: Path) -> None:
    path = _file(tmp_path, picture(words=2, pages=2))
    assert ask(Open(path)) == Opened("image/tiff", (1, 1))
    page = ask(ReadPage(path, 1))
    assert isinstance(page, PageRead)
    assert page.text == "word1 word2"
    assert page.layout["number"] == 2
    text = "This is a sentence that is long enough to tell its language."
    assert ask(Judge(path, text)) == Judged("en", 12)


def test_a_document_of_a_single_page_is_read_through_at_once(ask: Ask, tmp_path: Path) -> None:
    path = _file(tmp_path, picture(words=2))
    answer = ask(Open(path))
    assert isinstance(answer, ReadAtOnce)
    assert answer.opened.page_units == (1,)
    assert answer.page.text == "word1 word2"
    assert answer.page == ask(ReadPage(path, 0))
    assert answer.judged == ask(Judge(path, "word1 word2"))


def test_what_cannot_be_read_is_told_by_its_code(ask: Ask, tmp_path: Path) -> None:
    answer = ask(Open(_file(tmp_path, b"text")))
    assert isinstance(answer, Unreadable)
    assert answer.code == "unsupported_media_type"


def test_an_engine_that_fails_is_no_fault_of_the_document(ask: Ask, tmp_path: Path) -> None:
    path = _file(tmp_path, picture(script=BREAK))
    assert isinstance(ask(Open(path)), Broken)
    assert isinstance(ask(ReadPage(path, 0)), Broken)


def test_a_crash_is_told_and_the_next_child_opens_the_file_anew(ask: Ask, tmp_path: Path) -> None:
    path = _file(tmp_path, picture(script=CRASH))
    assert ask(Open(path)) == Died("signal 11")
    assert ask(ReadPage(path, 0)) == Died("signal 11")
    path.write_bytes(picture(words=1))
    assert isinstance(ask(ReadPage(path, 0)), PageRead)


def test_a_page_that_takes_too_long_ends_the_child(tmp_path: Path) -> None:
    recogniser = _started(_bounds(page_seconds_max=1.0))
    try:
        recogniser.submit(ReadPage(_file(tmp_path, picture(script=HANG)), 0))
        assert _wait(recogniser, lambda: False) == Died("a page took longer than allowed")
    finally:
        recogniser.close()


def test_an_answer_that_is_there_counts_however_late_it_is_looked_for(tmp_path: Path) -> None:
    recogniser = _started(_bounds(page_seconds_max=1.0))
    try:
        recogniser.submit(Open(_file(tmp_path, picture())))
        (connection,) = recogniser.waitables()
        assert connection.poll(60), "the child has answered"
        time.sleep(1.1)  # The parent was held up elsewhere beyond the deadline.
        assert isinstance(recogniser.collect(), ReadAtOnce)
    finally:
        recogniser.close()


def test_files_closed_while_the_child_works_do_not_hold_up_the_parent(tmp_path: Path) -> None:
    recogniser = _started(_bounds())
    try:
        paths = [tmp_path / str(number) for number in range(_MORE_THAN_A_PIPE_HOLDS)]
        for path in paths:
            path.write_bytes(picture(script=HANG, pages=2))
            recogniser.submit(Open(path))
            assert isinstance(_wait(recogniser, lambda: False), Opened)
        recogniser.submit(ReadPage(paths[0], 0))

        def close_all() -> None:
            for path in paths:
                recogniser.forget(path)

        closing = threading.Thread(target=close_all, daemon=True)
        closing.start()
        closing.join(30)
        held_up = closing.is_alive()
    finally:
        recogniser.close()
    assert not held_up


def test_a_file_closed_while_the_child_works_is_read_anew_when_another_takes_its_path(
    recogniser: Recogniser, tmp_path: Path
) -> None:
    path = _file(tmp_path, picture(words=2, pages=2))
    _wait(recogniser, lambda: recogniser.idle)
    recogniser.submit(Open(path))
    recogniser.forget(path)
    assert isinstance(_wait(recogniser, lambda: False), Opened)
    path.write_bytes(picture(words=1))
    recogniser.submit(ReadPage(path, 0))
    page = _wait(recogniser, lambda: False)
    assert isinstance(page, PageRead)
    assert page.text == "word1"


def test_a_child_that_takes_too_much_memory_is_ended_early(tmp_path: Path) -> None:
    recogniser = _started(_bounds(memory_mb_max=10))
    try:
        path = _file(tmp_path, picture(script=HANG))
        recogniser.submit(ReadPage(path, 0))
        assert _wait(recogniser, lambda: False) == Died("it used more than 10 MB")
    finally:
        recogniser.close()


def test_a_child_that_read_enough_is_replaced_between_documents(tmp_path: Path) -> None:
    recogniser = _started(_bounds(documents_max=1))
    try:
        recogniser.submit(Judge(tmp_path / "none", "text"))
        assert isinstance(_wait(recogniser, lambda: False), Judged)
        recogniser.recycle_if_grown()
        assert not recogniser.idle
        _wait(recogniser, lambda: recogniser.idle)
    finally:
        recogniser.close()


def test_models_that_cannot_be_loaded_halt() -> None:
    recogniser = Recogniser(_NoEngine, Limits(), _bounds())
    recogniser.start()
    try:
        with pytest.raises(Halt, match="cannot be started"):
            _wait(recogniser, lambda: False)
    finally:
        recogniser.close()


class _NoEngine(ScriptedEngine):
    def __init__(self) -> None:
        raise FileNotFoundError("no weights")


class _Environment(ScriptedEngine):
    """Tells as its version which variables it sees, by itself and by its process."""

    def __init__(self) -> None:
        lines = Path("/proc/self/environ").read_text().split("\0") if sys.platform == "linux" else []
        self.model_version = " ".join({*os.environ, *(line.partition("=")[0] for line in lines)})


def test_the_child_gets_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_S3_SECRET_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("TF_VAR_password", "secret")
    monkeypatch.setenv("DOCTR_CACHE_DIR", "/weights")
    recogniser = Recogniser(_Environment, Limits(), _bounds())
    recogniser.start()
    try:
        _wait(recogniser, lambda: recogniser.idle)
        assert recogniser.engine is not None
        seen = set(recogniser.engine.model_version.split())
    finally:
        recogniser.close()
    assert {"PATH", "DOCTR_CACHE_DIR"} <= seen
    assert not {name for name in seen if name.startswith(("OCR_", "AWS_", "TF_VAR"))}


class _Pickled:
    """What runs a command when it is unpickled."""

    def __init__(self, touched: str) -> None:
        self._touched = touched

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (self._touched, "w"))


class _TakenOver(ScriptedEngine):
    """Native code that a file has taken over, and that knows the way to the parent."""

    def __init__(self, sent: bytes) -> None:
        super().__init__()
        self._sent = sent

    def read_page(self, image: NDArray[np.uint8]) -> PageWords:
        connection = Connection(int(sys.argv[1]))
        connection.send_bytes(self._sent)
        time.sleep(60)
        return super().read_page(image)


@pytest.mark.parametrize(
    "sent",
    [
        b"pickled",
        b"",
        b"{}",
        b'["Nothing", {}]',
        b'[["Judged"], {}]',
        b'["Judged", {"language": "en", "words": "many"}]',
        b"[" * 100_000,
    ],
)
def test_a_child_that_was_taken_over_has_the_parent_execute_nothing(tmp_path: Path, sent: bytes) -> None:
    touched = tmp_path / "touched"
    body = pickle.dumps(_Pickled(str(touched))) if sent == b"pickled" else sent
    recogniser = Recogniser(partial(_TakenOver, body), Limits(), _bounds())
    recogniser.start()
    try:
        _wait(recogniser, lambda: recogniser.idle)
        recogniser.submit(ReadPage(_file(tmp_path, picture()), 0))
        assert _wait(recogniser, lambda: False) == Died("it sent what is no answer")
    finally:
        recogniser.close()
    assert not touched.exists()
