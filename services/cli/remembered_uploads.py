"""Which key each content was uploaded under: what makes `ocr-services process` resumable.

One line of JSON an upload, appended and on disk before the upload begins, so that nothing that happens afterwards makes
a second run upload, and pay, again. Several runs may share the file.
"""

from __future__ import annotations

import fcntl
import json
import os
from hashlib import sha256
from pathlib import Path
from threading import Lock


def default_path() -> Path:
    """Where the user's programs keep what should survive a restart."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "ocr-services" / "uploads.jsonl"


class RememberedUploads:
    """Keys by content, for one service. Threads may share it."""

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._url = url.rstrip("/")
        self._lock = Lock()
        self._keys = self._load()

    def key_of(self, body: bytes) -> str | None:
        """The key that this content was last uploaded under, or was about to be."""
        with self._lock:
            return self._keys.get(_digest(body))

    def may_lie_somewhere(self, body: bytes) -> bool:
        """Whether this content was last sent to where no key was known, and no answer was remembered."""
        with self._lock:
            return self._keys.get(_digest(body), "") is None

    def remember(self, body: bytes, key: str | None) -> None:
        """Remembers a key, or that none is known; returns when it is on disk. Raises OSError."""
        digest = _digest(body)
        line = json.dumps({"url": self._url, "sha256": digest, "key": key}) + "\n"
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Readable by its owner alone: it tells which files somebody had read.
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                size = os.fstat(descriptor).st_size
                # What a crash has cut short must not take this line with it.
                is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                os.write(descriptor, (b"\n" if is_cut else b"") + line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._keys[digest] = key

    def _load(self) -> dict[str, str | None]:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        entries = (entry for entry in map(_parse, lines) if entry is not None)
        return {digest: key for url, digest, key in entries if url == self._url}


def _parse(line: str) -> tuple[str, str, str | None] | None:
    """None for a line that a crash has cut short."""
    try:
        entry = json.loads(line)
        key = entry["key"]
        return str(entry["url"]), str(entry["sha256"]), None if key is None else str(key)
    except (ValueError, KeyError, TypeError):
        return None


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()
