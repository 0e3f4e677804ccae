"""Under which name an extractor's transactions run: kept over crashes, as only who has it can end what they left open.

A broker ends the transaction of a process that died, once it times out. Where that met the start of the broker itself,
Apache Kafka 4.3.0 has been seen to note the end and to write no marker of it. The records stay open in their
partitions then, every `read_committed` reader waits behind them for ever, and only a producer of the same name can end
them. A name is a file in a folder that outlives the process, locked while it is in use. A process inherits one that
nobody has locked; one that ends in order, with nothing left open, takes its file along.
"""

import fcntl
import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_PREFIX = "ocr-extractor-"
_SUFFIX = ".id"


class Identity:
    """A transactional id. `in_doubt`: whether a transaction of that name may still be open in some partitions."""

    def __init__(self, transactional_id: str, *, inherited: bool) -> None:
        self.transactional_id = transactional_id
        self.in_doubt = inherited


@contextmanager
def claimed_identity(place: Path, cluster: str) -> Iterator[Identity]:
    """An identity of this process's own among those of `cluster`, whatever names it, in the folder `place`."""
    family = _PREFIX + hashlib.sha256(cluster.encode()).hexdigest()[:8]
    path, lock, inherited = _claim(place, family)
    with lock:
        identity = Identity(path.name.removesuffix(_SUFFIX), inherited=inherited)
        yield identity
        # An exception leaves the file: what it interrupted is the heir's to end.
        if not identity.in_doubt:
            path.unlink(missing_ok=True)


def _claim(place: Path, family: str) -> tuple[Path, TextIO, bool]:
    for left in sorted(place.glob(f"{family}-*{_SUFFIX}")):
        lock = _locked(left)
        if lock is not None:
            return left, lock, True
    while True:
        path = place / f"{family}-{uuid.uuid4()}{_SUFFIX}"
        path.touch(mode=0o600)
        lock = _locked(path)
        if lock is not None:  # else another has found it in this moment, and has it
            return path, lock, False


def _locked(path: Path) -> TextIO | None:
    """The file, locked; None if another has it, it is another user's, or it is gone."""
    try:
        file = path.open("r+")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():  # whoever had it may have taken it along between the two lines above
            return file
    except OSError:
        pass
    file.close()
    return None
