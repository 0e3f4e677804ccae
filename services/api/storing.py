"""Files that come through the API: spooled to disk as they arrive, judged, and stored in one piece.

Nothing is in the bucket before all of a file has arrived, and the spool has no name on the disk: an upload that
breaks off, and a process that dies with one, leave nothing behind.
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from starlette.requests import ClientDisconnect

from services.api.errors import ApiError
from services.api.file_models import StoredFile
from services.api.multipart import OVERHEAD_BYTES_MAX, FilePart
from services.api.stores import in_thread
from services.api.uploads import object_key
from services.api.waiters import InFlight
from services.recognition.errors import UnsupportedMediaType
from services.recognition.media_type import HEAD_BYTES, sniff

_MEMORY_BYTES_MAX = 1 << 20
"""A file up to this size, and this much of a larger one, is in memory at a time."""
_RANDOM_BYTES = 8

PutFile = Callable[[str, IO[bytes], str], None]
"""Stores a file, from its beginning, under a key of the uploads bucket, as of a type."""


@dataclass
class _Spool:
    """What has arrived: the file on disk, its size, and its first bytes."""

    file: IO[bytes]
    size_bytes: int = 0
    head: bytes = b""


class FileStorer:
    """Takes files in, some at a time."""

    def __init__(
        self,
        put: PutFile,
        executor: Executor,
        in_flight: InFlight,
        *,
        bytes_max: int,
        idle_seconds_max: float,
        bytes_per_second_min: float,
        spool_dir: Path | None = None,
        random_part: Callable[[], str] = lambda: secrets.token_hex(_RANDOM_BYTES),
    ) -> None:
        self._put = put
        self._executor = executor
        self._in_flight = in_flight
        self._bytes_max = bytes_max
        self._idle_seconds_max = idle_seconds_max
        self._bytes_per_second_min = bytes_per_second_min
        self._spool_dir = None if spool_dir is None else str(spool_dir)
        self._random_part = random_part

    async def store(
        self, user_id: str, body: AsyncIterator[bytes], content_type: str | None, content_length: int | None
    ) -> StoredFile:
        """Stores the file in a multipart body under a new key of this user's.

        Raises:
            ApiError: `invalid_request`, `file_too_large`, `unsupported_media_type`: nothing was stored.
            Overloaded: as many files are arriving as may.
            StoreUnavailable: it was stored or not; the same again is stored under another key.
        """
        part = FilePart(content_type)
        if content_length is not None and content_length > self._bytes_max + OVERHEAD_BYTES_MAX:
            raise self._too_large()
        with (
            self._in_flight.slot(user_id),
            tempfile.SpooledTemporaryFile(_MEMORY_BYTES_MAX, dir=self._spool_dir) as file,
        ):
            spool = _Spool(file)
            await self._receive(part, body, spool)
            media_type = _judge(spool.head)
            key = str(object_key(user_id, part.filename, media_type, self._random_part()))
            file.seek(0)
            await in_thread(self._executor, self._put, key, file, media_type)
        return StoredFile(key=key, content_type=media_type, size=spool.size_bytes)

    async def _receive(self, part: FilePart, body: AsyncIterator[bytes], spool: _Spool) -> None:
        judged = False
        async for piece in self._pieces(body):
            data = part.feed(piece)
            spool.size_bytes += len(data)
            if spool.size_bytes > self._bytes_max:
                raise self._too_large()
            if len(spool.head) < HEAD_BYTES:
                spool.head = (spool.head + data)[:HEAD_BYTES]
            elif not judged:
                # What is no document need not arrive to its end.
                _judge(spool.head)
                judged = True
            if data:
                await in_thread(self._executor, spool.file.write, data)
        if not part.complete:
            raise _broken_off()
        if not part.found:
            raise part.lacks_file()

    async def _pieces(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        # Bounded in all, else a byte now and then would keep a place for ever. Writing to the spool is not counted.
        patience_seconds = self._idle_seconds_max
        while True:
            asked_at = time.monotonic()
            try:
                piece = await asyncio.wait_for(anext(body), min(patience_seconds, self._idle_seconds_max))
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise _broken_off() from error
            except ClientDisconnect as error:
                raise _broken_off() from error
            patience_seconds += len(piece) / self._bytes_per_second_min - (time.monotonic() - asked_at)
            yield piece

    def _too_large(self) -> ApiError:
        message = f"The file has more than {self._bytes_max} bytes; no more than that are read"
        return ApiError("file_too_large", message, {"Connection": "close"})


def _judge(head: bytes) -> str:
    try:
        return sniff(head)
    except UnsupportedMediaType as error:
        raise ApiError("unsupported_media_type", error.reason, {"Connection": "close"}) from error


def _broken_off() -> ApiError:
    return ApiError("invalid_request", "The upload broke off: send it again", {"Connection": "close"})
