"""Searchable PDFs, made on demand by a child process that holds no credentials and may be thrown away.

The file comes from anybody and its decoders are native code: what they break is the child alone.
"""

import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from schemas.document import Document
from services.api.errors import ERRORS, ApiError
from services.api.layout.models import layout_of
from services.api.stores import in_thread
from services.api.waiters import InFlight
from services.runtime.children import child_environment
from services.runtime.object_store import ObjectChanged, ObjectGone, ObjectTooLarge
from services.searchable_pdf.__main__ import EXIT_REFUSED, LAYOUT, SOURCE, TARGET

_log = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
_TOO_MUCH = "Making a searchable PDF of this file takes too much memory or time; the other formats are there"

Download = Callable[[Document, Path], object]
"""Writes the uploaded object of a document, that very content, to a file. Raises as `ObjectStore.download`."""


@dataclass(frozen=True)
class PdfLimits:
    """What one child may take."""

    memory_bytes_max: int
    seconds_max: float


class PdfMaker:
    """Makes searchable PDFs, some at a time."""

    def __init__(
        self,
        download: Download,
        executor: Executor,
        in_flight: InFlight,
        limits: PdfLimits,
        spool_dir: Path | None = None,
    ) -> None:
        self._download = download
        self._executor = executor
        self._in_flight = in_flight
        self._limits = limits
        self._spool_dir = spool_dir

    async def make(self, document: Document) -> IO[bytes]:
        """The PDF of a completed document, as an open file that has no name any more; to be closed.

        Raises:
            ApiError: `file_not_found`, `object_changed`: the uploaded file is not there any more, or another is;
                `unreadable_document` and others: it cannot be made.
            Overloaded: as many are being made as may.
            StoreUnavailable: the object store is down.
        """
        with (
            self._in_flight.slot(document.user_id),
            tempfile.TemporaryDirectory(dir=self._spool_dir, ignore_cleanup_errors=True) as name,
        ):
            folder = Path(name)
            await in_thread(self._executor, self._prepare, document, folder)
            await self._run(folder)
            return (folder / TARGET).open("rb")

    def _prepare(self, document: Document, folder: Path) -> None:
        try:
            self._download(document, folder / SOURCE)
        except ObjectGone as error:
            raise ApiError(
                "file_not_found", "The uploaded file is gone, and with it the pictures of its PDF"
            ) from error
        except ObjectChanged as error:
            message = "The uploaded file was overwritten, and the pictures of this result's PDF are gone with it"
            raise ApiError("object_changed", message) from error
        except ObjectTooLarge as error:
            raise ApiError("file_too_large", f"The file is too large: {error}") from error
        (folder / LAYOUT).write_bytes(layout_of(document).to_json())

    async def _run(self, folder: Path) -> None:
        limits = (str(self._limits.memory_bytes_max), str(max(1, round(self._limits.seconds_max))))
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.searchable_pdf", str(folder), *limits),
            cwd=_ROOT,
            env=child_environment() | _ENVIRONMENT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said, complaint = await asyncio.wait_for(child.communicate(), self._limits.seconds_max)
        except TimeoutError as error:
            raise ApiError("unreadable_document", _TOO_MUCH) from error
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode != 0:
            raise _problem(child.returncode, said, complaint)


def _problem(exit_status: int | None, said: bytes, complaint: bytes) -> ApiError:
    if exit_status == EXIT_REFUSED:
        refusal = json.loads(said)
        code = refusal["code"] if refusal["code"] in ERRORS else "unreadable_document"
        return ApiError(code, refusal["reason"])
    _log.error(
        "a searchable PDF could not be made",
        extra={"exit_status": exit_status, "reason": complaint.decode("utf-8", "replace")[-2000:]},
    )
    return ApiError("unreadable_document", _TOO_MUCH)
