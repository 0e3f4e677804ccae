"""From keys to acknowledged requests: HEADs in parallel, then records on `ocr.uploads`."""

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any

from schemas.events import OcrRequest, Origin
from schemas.identity import ObjectKey
from schemas.topics import UPLOADS, upload_key
from services.intake.patience import PAUSE_SECONDS_MAX, GiveUp, sleep_unless
from services.intake.trouble import Trouble
from services.intake.worker import request_for
from services.runtime.backoff import Backoff
from services.runtime.errors import StoreUnavailable, TransientError
from services.runtime.metrics import UPLOADS_REQUESTED
from services.runtime.object_store import StoredObject
from services.runtime.producing import EventProducer

_log = logging.getLogger(__name__)

Head = Callable[[str], StoredObject | None]
"""What lies under a key of the uploads; raises `StoreUnavailable`."""

_ATTEMPTS_MAX = 3
_CONTROL_KEY = "ocr/"
"""No upload's key, so a store that is well says that nothing lies here."""
_ACKNOWLEDGE_POLL_SECONDS = 0.5


class GaveUp(TransientError):
    """The work was called off before it was done; nothing of it may be acknowledged."""


class UploadRequester:
    """Requests what exists under given keys. Safe to share between threads; all share one pool of HEADs."""

    def __init__(
        self,
        head: Head,
        producer: EventProducer,
        *,
        bucket: str,
        spread: int,
        heads_parallel: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.bucket = bucket
        self._head = head
        self._producer = producer
        self._spread = spread
        self._now = now
        self._pool = ThreadPoolExecutor(heads_parallel, thread_name_prefix="head")
        self.problem = Trouble()

    def close(self) -> None:
        """Lets the HEADs under way end."""
        self._pool.shutdown(cancel_futures=True)

    def request(self, keys: Mapping[str, ObjectKey], origin: Origin, give_up: GiveUp) -> int:
        """Requests each of `keys` under which something lies, and returns how many.

        1. HEAD every key; what a dependency that is away leaves open is tried again, with pauses.
        2. Produce a request for each object found.
        3. Return when the broker has acknowledged all of them. Only then may the caller acknowledge the hints.

        Raises:
            GaveUp: `give_up` said so first.
        """
        backoff = Backoff(seconds_max=PAUSE_SECONDS_MAX)
        open_keys = dict(keys)
        found: list[OcrRequest] = []
        attempts: dict[str, int] = {}
        while True:
            try:
                self._look_up(open_keys, found, attempts, origin)
                self._produce(found, give_up)
                self.problem.over()
                UPLOADS_REQUESTED.labels(origin=origin.value).inc(len(found))
                return len(found)
            except GaveUp:
                raise
            except TransientError as error:
                reason = self.problem.met(str(error))
                _log.warning("intake waits", extra={"reason": reason, "open_keys": len(open_keys)})
            if not sleep_unless(give_up, backoff.failed()):
                raise GaveUp(reason)

    def send(self, request: OcrRequest) -> "Future[Any]":
        """Queues one request; the future resolves when the broker has acknowledged it.

        Raises:
            BrokerUnavailable: the local queue is full.
        """
        key = upload_key(request.user_id, request.key, self._spread)
        return self._producer.send(UPLOADS, key, request, subject=request.key, correlation_id=request.result_id)

    def _look_up(
        self, open_keys: dict[str, ObjectKey], found: list[OcrRequest], attempts: dict[str, int], origin: Origin
    ) -> None:
        """Moves what the store answers from `open_keys` to `found`; raises when some keys stay open."""
        answers = {key: self._pool.submit(self._head, key) for key in open_keys}
        wait(answers.values(), return_when=FIRST_EXCEPTION)
        # The store seems to be away: what is queued behind the failure would only fail as slowly.
        cancelled = {key for key, answer in answers.items() if answer.cancel()}
        failures: dict[str, StoreUnavailable] = {}
        for key, answer in answers.items():
            if key in cancelled:
                continue
            try:
                stored = answer.result()
            except StoreUnavailable as error:
                failures[key] = error
                # Behind all others, so that next time these are answered and all that fail are met together.
                open_keys[key] = open_keys.pop(key)
                continue
            parsed = open_keys.pop(key)
            if stored is not None:
                found.append(request_for(stored, parsed, self.bucket, origin, self._now()))
        self._judge(failures, open_keys, attempts)
        if open_keys:
            raise next(iter(failures.values()), StoreUnavailable("HEADs were called off"))

    def _judge(
        self, failures: Mapping[str, StoreUnavailable], open_keys: dict[str, ObjectKey], attempts: dict[str, int]
    ) -> None:
        """Lets go of a key that keeps failing on a store that answers: it must not hold up all others for ever."""
        if not failures or not self._store_answers():
            return
        for key, error in failures.items():
            attempts[key] = attempts.get(key, 0) + 1
            if attempts[key] >= _ATTEMPTS_MAX:
                del open_keys[key]
                _log.error("a key the store cannot look up is left out", extra={"key": key, "reason": str(error)})

    def _store_answers(self) -> bool:
        try:
            self._head(_CONTROL_KEY)
        except StoreUnavailable:
            return False
        return True

    def _produce(self, requests: Iterable[OcrRequest], give_up: GiveUp) -> None:
        pending: set[Future[Any]] = {self.send(request) for request in requests}
        while pending:
            done, pending = wait(pending, timeout=_ACKNOWLEDGE_POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for acknowledged in done:
                acknowledged.result()
            if pending:
                reason = self.problem.met("the broker has not acknowledged the requests yet")
                if give_up():
                    raise GaveUp(reason)
