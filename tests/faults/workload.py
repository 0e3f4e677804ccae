"""Clients that go on meanwhile: uploads, overwrites, POSTs, grants, each noted with what the client was told."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.ledger.grants import grant
from services.local.ports import LOOPBACK
from services.runtime.errors import StoreUnavailable, TransientError
from tests.faults.history import Grant, History, Outcome, Post, Upload
from tests.faults.installation import Installation
from tests.support.scripted_engine import CRASH, READ, SLOW, picture

_POST_SECONDS_MAX = 40.0
_OVERWRITE_SHARE = 0.05
_UNREADABLE_SHARE = 0.03
_CRASHING_SHARE = 0.01
_SLOW_SHARE = 0.1
_RECENT = 30


@dataclass
class Workload:
    """Threads that upload, POST and grant until they are stopped."""

    where: Installation
    history: History
    keys: dict[str, str]
    """API keys by user."""
    seed: int
    uploads_per_second: float = 3.0
    posters: int = 4
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _recent: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Begins."""
        loops: Sequence[Callable[[random.Random], None]] = [self._upload, self._give, *[self._post] * self.posters]
        for number, loop in enumerate(loops):
            thread = threading.Thread(
                target=self._run,
                args=(loop, random.Random(f"{self.seed}/{number}")),
                name=f"{loop.__name__}-{number}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ends once every operation under way has its answer."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_POST_SECONDS_MAX + 60)
            if thread.is_alive():
                self.problems.append(f"{thread.name} does not end")

    def _run(self, loop: Callable[[random.Random], None], chance: random.Random) -> None:
        try:
            while not self._stopping.is_set():
                loop(chance)
        except Exception as error:
            self.problems.append(f"{loop.__name__}: {type(error).__name__}: {error}")

    def _upload(self, chance: random.Random) -> None:
        self._stopping.wait(chance.expovariate(self.uploads_per_second))
        user_id = chance.choice(sorted(self.keys))
        overwrites = self._recent and chance.random() < _OVERWRITE_SHARE
        key = (
            chance.choice(self._recent) if overwrites else f"ocr/{user_id}/{uuid.UUID(int=chance.getrandbits(128))}.png"
        )
        words, readable, body = _content(chance)
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        upload = Upload(key.split("/")[1], key, etag, words, readable, Outcome.UNKNOWN, time.monotonic())
        # Noted before it begins: what it does may be seen before it ends. This is the only thread that uploads.
        self.history.uploads.append(upload)
        try:
            self.where.client_objects.put(self.where.uploads_bucket, key, body, "image/png")
        except StoreUnavailable:
            return
        self.history.uploads[-1] = replace(upload, outcome=Outcome.OK)
        self._recent = [*self._recent[-_RECENT:], key]

    def _post(self, chance: random.Random) -> None:
        self._stopping.wait(chance.uniform(0.2, 1.5))
        if not self._recent:
            return
        key = chance.choice(self._recent)
        user_id = key.split("/")[1]
        port = chance.choice(self.where.replicas.of("api")).port
        status, body = post(port, self.keys[user_id], key)
        outcome = Outcome.UNKNOWN if status is None else Outcome.OK if status < 300 else Outcome.FAILED
        self.history.posts.append(Post(user_id, key, status, body, outcome))

    def _give(self, chance: random.Random) -> None:
        """A grant whose fate is unknown is repeated under its key, until it is known or time is up."""
        self._stopping.wait(chance.uniform(1.0, 4.0))
        user_id, amount = chance.choice(sorted(self.keys)), chance.randint(1, 1000)
        key, outcome = f"grant-{uuid.UUID(int=chance.getrandbits(128))}", Outcome.UNKNOWN
        while outcome is Outcome.UNKNOWN and not self._stopping.is_set():
            try:
                grant(self.where.client_engine, user_id, amount, key, now=datetime.now(UTC))
                outcome = Outcome.OK
            except TransientError:
                self._stopping.wait(0.5)
        self.history.grants.append(Grant(user_id, key, amount, outcome))


def post(port: int, api_key: str, key: str) -> tuple[int | None, dict[str, object]]:
    """The POST of the contract; no status when there was no answer, or not all of one."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_POST_SECONDS_MAX)
    headers = {"X-API-Key": api_key, "Content-Type": "application/json"}
    try:
        connection.request("POST", "/api/ocr/process", json.dumps({"key": key}), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException):
        return None, {}
    finally:
        connection.close()


def _content(chance: random.Random) -> tuple[int, bool, bytes]:
    """Words, whether it can be read, and the bytes; no two are alike."""
    words, seed, draw = chance.randint(1, 60), chance.getrandbits(16), chance.random()
    mark = uuid.UUID(int=chance.getrandbits(128)).bytes
    if draw < _UNREADABLE_SHARE:
        return 0, False, b"\x89PNG\r\n\x1a\n" + mark
    if draw < _UNREADABLE_SHARE + _CRASHING_SHARE:
        return 0, False, picture(words, CRASH, seed=seed) + mark
    script = SLOW if draw > 1 - _SLOW_SHARE else READ
    return words, True, picture(words, script, seed=seed) + mark
