"""A client that costs little: POSTs over kept connections, so that the server is what is measured."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Posted:
    """Latencies in seconds of each POST, in the order they ended, and the time of all."""

    latencies_seconds: list[float]
    total_seconds: float

    def percentile_ms(self, percent: float) -> float:
        """The latency in milliseconds that so many percent of the POSTs stayed below."""
        ordered = sorted(self.latencies_seconds)
        index = min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))
        return ordered[index] * 1000

    @property
    def per_second(self) -> float:
        """POSTs a second."""
        return len(self.latencies_seconds) / self.total_seconds


def post_keys(host: str, port: int, api_key: str, keys: Sequence[str], concurrency: int) -> Posted:
    """POSTs every key once over `concurrency` connections. Raises RuntimeError at an answer that is not 200."""
    return asyncio.run(_post_all(host, port, api_key, list(keys), concurrency))


async def _post_all(host: str, port: int, api_key: str, keys: list[str], concurrency: int) -> Posted:
    waiting = iter(keys)
    latencies: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for key in waiting:
            started = time.perf_counter()
            status, body = await _post(reader, writer, host, api_key, key)
            if status != 200:
                raise RuntimeError(f"{status} for {key}: {body.decode(errors='replace')}")
            latencies.append(time.perf_counter() - started)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    return Posted(latencies, time.perf_counter() - started)


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, api_key: str, key: str
) -> tuple[int, bytes]:
    body = json.dumps({"key": key}).encode()
    head = (
        f"POST /api/ocr/process HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return status, await reader.readexactly(length)
