"""Threads for the calls of the object store; their outcomes come back to the loop, which they wake."""

import queue
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class StoreThreads(Generic[T]):
    """Runs steps beside the loop. The loop waits on `waitable` and then takes what `collect` gives."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._done: queue.SimpleQueue[tuple[int, T | Exception]] = queue.SimpleQueue()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    @property
    def waitable(self) -> socket.socket:
        """Readable when there is something to collect."""
        return self._reader

    def submit(self, number: int, step: Callable[[], T]) -> None:
        """Runs `step` for the record of this number."""
        self._pool.submit(self._run, number, step)

    def collect(self) -> list[tuple[int, T | Exception]]:
        """What has ended since: record number, and the step's outcome or its exception."""
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass  # Drained: that is how the end of a non-blocking socket is told.
        ended = []
        while True:
            try:
                ended.append(self._done.get_nowait())
            except queue.Empty:
                return ended

    def close(self) -> list[tuple[int, T | Exception]]:
        """Waits for the steps under way, drops those that have not begun, and returns what has ended as `collect`."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        ended = self.collect()
        self._reader.close()
        self._writer.close()
        return ended

    def _run(self, number: int, step: Callable[[], T]) -> None:
        try:
            self._done.put((number, step()))
        except Exception as error:
            self._done.put((number, error))
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            pass  # The loop has wake-ups enough.
