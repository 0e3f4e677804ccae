"""The HTTP server, with a shutdown that lets those who wait have their answers."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn

_LAST_ANSWERS_SECONDS = 2.0
"""What is left of the drain time, when waits are ended, to write their answers."""


class DrainingServer(uvicorn.Server):
    """On SIGTERM it takes no more connections, lets waits go on for a while, then ends them as timed out."""

    def __init__(self, config: uvicorn.Config, *, drain_seconds: float, end_waits: Callable[[], None]) -> None:
        super().__init__(config)
        self._wait_seconds_max = max(0.0, drain_seconds - _LAST_ANSWERS_SECONDS)
        self._end_waits = end_waits

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends in an orderly way, within the drain time."""
        ending = asyncio.get_running_loop().call_later(self._wait_seconds_max, self._end_waits)
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()
