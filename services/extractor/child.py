"""The recognising child: native code that may crash, leak or hang, in a process that may be thrown away.

It gets a spooled file and a page, and neither credentials nor connections. It ends with its parent. What it says is
JSON and nothing else: the parent executes nothing of a child that a file has taken over.
"""

import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from services.recognition.document import Document, Limits, open_document
from services.recognition.engine import Engine
from services.recognition.errors import RecognitionError
from services.recognition.language import load as load_languages
from services.recognition.recognise import read_page
from services.recognition.text import count_words, detect_language

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Open:
    """Judge a file by its content: its pages, or why it cannot be read. One of a single page is read through at once.

    Most files have a single page; each answer that the parent need not wait for spares both a change of process.
    """

    path: Path


@dataclass(frozen=True)
class ReadPage:
    """Read one page, counted from 0, of an open file."""

    path: Path
    index: int


@dataclass(frozen=True)
class Judge:
    """Tell language and number of words of a text, and forget the file it came from."""

    path: Path
    text: str


@dataclass(frozen=True)
class Forget:
    """Close a file; not answered."""

    path: Path


@dataclass(frozen=True)
class Opened:
    """Answer to `Open`."""

    media_type: str
    page_units: tuple[int, ...]


@dataclass(frozen=True)
class PageRead:
    """Answer to `ReadPage`: the layout as JSON, and the page's text."""

    layout: dict[str, Any]
    text: str


@dataclass(frozen=True)
class Judged:
    """Answer to `Judge`."""

    language: str
    words: int


@dataclass(frozen=True)
class ReadAtOnce:
    """Answer to `Open` for a file of a single page: it is read, judged and closed again."""

    opened: Opened
    page: PageRead
    judged: Judged


@dataclass(frozen=True)
class Unreadable:
    """The input cannot be read; `code` is one of the API's."""

    code: str
    reason: str


@dataclass(frozen=True)
class Broken:
    """The engine failed in a way that says nothing about the input."""

    reason: str


@dataclass(frozen=True)
class Ready:
    """The first message of a child: its models are loaded."""

    engine: str
    model_version: str


Task = Open | ReadPage | Judge
Answer = Opened | PageRead | Judged | ReadAtOnce | Unreadable | Broken

EngineFactory = Callable[[], Engine]
"""Made in the parent, called in the child: to be imported there by its name, which nothing of `__main__` can be."""


@dataclass(frozen=True)
class Start:
    """The first message to a child."""

    engine_factory: EngineFactory
    limits: Limits
    parent_pid: int


def main() -> None:
    """Answers tasks until the parent closes the connection, whose descriptor is the only argument."""
    connection = Connection(int(sys.argv[1]))
    start: Start = connection.recv()
    _end_with_parent(start.parent_pid)
    # A terminal's Ctrl-C and a container's stop reach the whole group; the parent decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    engine = start.engine_factory()
    load_languages()
    _tell(connection, Ready(engine.name, engine.model_version))
    desk = _Desk(engine, start.limits)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        if isinstance(task, Forget):
            desk.forget(task.path)
        else:
            _tell(connection, desk.answer(task))


def _tell(connection: Connection, message: Answer | Ready) -> None:
    connection.send_bytes(json.dumps([type(message).__name__, message], default=vars).encode())


class _Desk:
    """The files that are open."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits
        self._documents: dict[Path, Document] = {}

    def answer(self, task: Task) -> Answer:
        try:
            return self._answer(task)
        except RecognitionError as error:
            return Unreadable(error.code, error.reason)
        except Exception as error:
            # Decoders' exceptions are `RecognitionError`s: this one is the engine's, or ours.
            return Broken("".join(traceback.format_exception(error)))

    def forget(self, path: Path) -> None:
        document = self._documents.pop(path, None)
        if document is not None:
            document.close()

    def _answer(self, task: Task) -> Answer:
        match task:
            case Judge(path, text):
                return self._judge(path, text)
            case ReadPage(path, index):
                return self._read_page(path, index)
            case Open(path):
                document = self._document(path)
                units = tuple(document.page_units(index) for index in range(document.page_count))
                opened = Opened(document.media_type, units)
                if len(units) != 1:
                    return opened
                page = self._read_page(path, 0)
                return ReadAtOnce(opened, page, self._judge(path, page.text))

    def _read_page(self, path: Path, index: int) -> PageRead:
        page = read_page(self._document(path), index, self._engine)
        return PageRead(page.to_dict(), page.text)

    def _judge(self, path: Path, text: str) -> Judged:
        self.forget(path)
        return Judged(detect_language(text), count_words(text))

    def _document(self, path: Path) -> Document:
        """The file, opened again where a child before this one had it open."""
        document = self._documents.get(path)
        if document is None:
            document = self._documents[path] = open_document(path, self._limits)
        return document


def _end_with_parent(parent_pid: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit(1)
