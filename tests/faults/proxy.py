"""TCP proxies between the services and the parts they stand on, which cut and ill-treat connections when told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.local.ports import LOOPBACK

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Stream:
    """One side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def cut(self) -> None:
        """Resets it."""
        self.writer.transport.abort()


OpenTarget = Callable[[], Awaitable[Stream]]
Treatment = Callable[[Stream, OpenTarget], Awaitable[None]]
"""What happens to one connection from its beginning to its end, given its client and a way to the part."""


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carries bytes until the source ends."""
    while chunk := await source.read(_CHUNK_BYTES):
        sink.write(chunk)
        await sink.drain()


async def until_either_ends(*ways: Awaitable[None]) -> None:
    """Runs all of them until the first ends."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def pass_on(client: Stream, open_target: OpenTarget) -> None:
    """Both ways, faithfully."""
    target = await open_target()
    try:
        await until_either_ends(pump(client.reader, target.writer), pump(target.reader, client.writer))
    finally:
        target.writer.close()


async def refuse(client: Stream, _open_target: OpenTarget) -> None:
    """Nobody is there."""
    client.cut()


class Proxy:
    """A port of the loopback in front of another one. Every method may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread, target_port: int) -> None:
        self._loop = loop
        self._thread = thread
        self._target_port = target_port
        self._treatment: Treatment = pass_on
        self._open: set[asyncio.Task[None]] = set()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), loop).result(10)

    def treat(self, treatment: Treatment) -> None:
        """Cuts every connection; those to come are treated like this."""
        self._treatment = treatment
        self.cut()

    def heal(self) -> None:
        """Passes on again. What was ill-treated is cut, so that nothing of it lasts."""
        self.treat(pass_on)

    def cut(self) -> None:
        """Cuts every connection that is open now."""
        if threading.current_thread() is self._thread:
            # A treatment does it: waiting for its own loop it would wait for ever.
            self._cut()
            return
        asyncio.run_coroutine_threadsafe(self._cut_soon(), self._loop).result(120)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._accepted, LOOPBACK, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _cut_soon(self) -> None:
        self._cut()

    def _cut(self) -> None:
        for task in self._open:
            task.cancel()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, task = Stream(reader, writer), asyncio.current_task()
        assert task is not None, "connections are served in tasks"
        self._open.add(task)
        try:
            await self._treatment(client, self._open_target)
            writer.close()
        except (OSError, asyncio.CancelledError):
            client.cut()
        finally:
            self._open.discard(task)

    async def _open_target(self) -> Stream:
        return Stream(*await asyncio.open_connection(LOOPBACK, self._target_port))


class Proxies:
    """The event loop that proxies run on, in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def to(self, target_port: int) -> Proxy:
        """A new proxy in front of a port of the loopback."""
        return Proxy(self._loop, self._thread, target_port)

    def close(self) -> None:
        """Ends all of them, and every connection through them."""
        # A connection that is ended before it was served is told of as an error.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        asyncio.run_coroutine_threadsafe(_end_others(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30.0)
        self._loop.close()


async def _end_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
