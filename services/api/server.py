"""The HTTP server, with a shutdown that lets those who wait have their answers."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

_log = logging.getLogger(__name__)

_LAST_ANSWERS_SECONDS = 2.0
"""What is left of the drain time, when waits are ended, to write their answers."""


class DrainingServer(uvicorn.Server):
    """On SIGTERM it takes no more connections, lets waits go on for a while, then ends them as timed out."""

    def __init__(self, config: uvicorn.Config, *, drain_seconds: float, end_waits: Callable[[], None]) -> None:
        super().__init__(config)
        self._wait_seconds_max = max(0.0, drain_seconds - _LAST_ANSWERS_SECONDS)
        self._end_waits = end_waits
        self.has_given_up = False

    def give_up(self, problem: str) -> None:
        """Ends as on SIGTERM, because a vital part failed for good: whoever started the process starts another."""
        _log.critical("gives up: %s", problem)
        self.has_given_up = True
        self.should_exit = True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until SIGTERM or Ctrl-C, and returns: an orderly end is no death by a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn raises the signal once more when it is done, for whoever handled it before.
            signal.signal(number, _ignore)
        super().run(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends in an orderly way, within the drain time."""
        ending = asyncio.get_running_loop().call_later(self._wait_seconds_max, self._end_waits)
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Has been heard."""
