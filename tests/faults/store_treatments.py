"""How a connection to the object store is ill-treated: answered 500, slowed down, cut within an answer."""

from __future__ import annotations

import asyncio
import random

from tests.faults.proxy import OpenTarget, Stream, Treatment, pump, until_either_ends

_ERROR = b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"
_CHUNK_BYTES = 1 << 16


async def answer_500(client: Stream, _open_target: OpenTarget) -> None:
    """Every request is read to its end and answered 500; the store never hears of it."""
    while head := await _read_head(client.reader):
        await client.reader.readexactly(_length(head))
        body = b"" if head.startswith(b"HEAD ") else _ERROR
        lines = f"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
        client.writer.write(lines.encode() + b"\r\n\r\n" + body)
        await client.writer.drain()


def slowly(seconds: float) -> Treatment:
    """Each piece of an answer comes so much later."""

    async def treat(client: Stream, open_target: OpenTarget) -> None:
        target = await open_target()

        async def crawl() -> None:
            while chunk := await target.reader.read(_CHUNK_BYTES):
                await asyncio.sleep(seconds)
                client.writer.write(chunk)
                await client.writer.drain()

        try:
            await until_either_ends(pump(client.reader, target.writer), crawl())
        finally:
            target.writer.close()

    return treat


def cut_short(chance: random.Random) -> Treatment:
    """A request reaches the store, but of its answer only some bytes arrive, or none: its fate is unknown."""

    async def treat(client: Stream, open_target: OpenTarget) -> None:
        target = await open_target()

        async def cut() -> None:
            answer = await target.reader.read(_CHUNK_BYTES)
            client.writer.write(answer[: chance.choice((0, 0, len(answer) // 2, max(0, len(answer) - 1)))])
            await client.writer.drain()

        try:
            await until_either_ends(pump(client.reader, target.writer), cut())
        finally:
            target.writer.close()

    return treat


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0
