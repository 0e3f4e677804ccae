"""From keys to acknowledged requests: HEADs in parallel, then records on `ocr.uploads`."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.events import OcrRequest, Origin
from schemas.identity import ObjectKey
from schemas.topics import UPLOADS, upload_key
from services.intake.patience import PAUSE_SECONDS_MAX, GiveUp, sleep_unless
from services.intake.trouble import Trouble
from services.intake.worker import request_for
from services.runtime import tracing
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
_SPAN_NAMES = {Origin.NOTIFICATION: "process notification", Origin.RECONCILER: "reconcile upload"}


class GaveUp(TransientError):
    """The work was called off before it was done; nothing of it may be acknowledged."""


class Found(NamedTuple):
    """An upload that is there, and the span of what told of it, which begins its trace."""

    request: OcrRequest
    span: tracing.Span


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
        found: list[Found] = []
        try:
            return self._until_acknowledged(dict(keys), found, origin, give_up)
        except GaveUp as error:
            for each in found:
                each.span.fail(str(error))
            raise
        finally:
            for each in found:
                each.span.end()

    def _until_acknowledged(
        self, open_keys: dict[str, ObjectKey], found: list[Found], origin: Origin, give_up: GiveUp
    ) -> int:
        backoff = Backoff(seconds_max=PAUSE_SECONDS_MAX)
        attempts: dict[str, int] = {}
        started_ns = time.time_ns()
        while True:
            try:
                self._look_up(open_keys, found, attempts, origin, started_ns)
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
        """Queues one request that begins a trace; the future resolves when the broker has acknowledged it.

        Raises:
            BrokerUnavailable: the local queue is full.
        """
        with _span_of(request, None) as span:
            return self._send(Found(request, span))

    def _send(self, found: Found) -> "Future[Any]":
        request = found.request
        return self._producer.send(
            UPLOADS,
            upload_key(request.user_id, request.key, self._spread),
            request,
            subject=request.key,
            correlation_id=request.result_id,
            traceparent=found.span.traceparent,
        )

    def _look_up(
        self,
        open_keys: dict[str, ObjectKey],
        found: list[Found],
        attempts: dict[str, int],
        origin: Origin,
        started_ns: int,
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
                request = request_for(stored, parsed, self.bucket, origin, self._now())
                found.append(Found(request, _span_of(request, started_ns)))
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

    def _produce(self, found: Iterable[Found], give_up: GiveUp) -> None:
        pending: set[Future[Any]] = {self._send(each) for each in found}
        while pending:
            done, pending = wait(pending, timeout=_ACKNOWLEDGE_POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for acknowledged in done:
                acknowledged.result()
            if pending:
                reason = self.problem.met("the broker has not acknowledged the requests yet")
                if give_up():
                    raise GaveUp(reason)


def _span_of(request: OcrRequest, started_ns: int | None) -> tracing.Span:
    """Begins the trace of an upload: stores send no context with their notifications."""
    return tracing.span(
        _SPAN_NAMES.get(request.origin, "request upload"),
        kind=tracing.Kind.CONSUMER,
        attributes={"ocr.result_id": request.result_id, "ocr.origin": request.origin.value},
        started_ns=started_ns,
    )
