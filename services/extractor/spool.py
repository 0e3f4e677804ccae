"""Where objects lie while they are read; what a process that was killed left there, the next one removes."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "ocr-spool-"
_LOCK = "lock"


@contextmanager
def spool_directory(parent: Path | None = None) -> Iterator[Path]:
    """A directory of this process's own, gone afterwards. `parent` None: the system's for temporary files."""
    place = Path(parent or tempfile.gettempdir())
    _remove_abandoned(place)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    with (directory / _LOCK).open("w") as lock:
        # Held while the process lives, however it ends: that is how another tells that nobody needs this any more.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_abandoned(place: Path) -> None:
    for left in place.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            with left.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left.parent, ignore_errors=True)
        except OSError:
            continue  # It is in use, another user's, or just removed by somebody else.
