"""How a POST is answered. The order of the steps is what keeps an answer from falling between."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from schemas.document import Document
from schemas.events import ErrorCode, OcrRequest, Origin, ResultCompleted, ResultFailed, ResultRefused
from schemas.identity import InvalidKey, ObjectKey, parse_key, result_id
from services.api.answers import answer_of_document, error_of_failure, error_of_verdict
from services.api.errors import ApiError, unavailable
from services.api.models import AcceptedResult, OcrResult, result_of_event
from services.api.prefer import Preference
from services.api.results import PendingResult
from services.api.settings import ApiSettings
from services.api.waiters import HungUp, InFlight, Reply, Signal, Waiter, Waiters
from services.runtime.admission import Verdict
from services.runtime.object_store import StoredObject

_log = logging.getLogger(__name__)


class Lookups(Protocol):
    """What is looked up: see `services.api.stores.Stores`."""

    uploads_bucket: str

    async def head(self, key: str) -> StoredObject | None:
        """An uploaded object."""

    async def document(self, user_id: str, result_id: str) -> Document | None:
        """A document."""


class Admission(Protocol):
    """Who may have work done: see `services.runtime.admission.BalanceTable`."""

    def verdict(self, user_id: str) -> Verdict:
        """Whether work may start."""

    def balance(self, user_id: str) -> int | None:
        """Tokens."""


class PendingList(Protocol):
    """Where requests are listed before they are produced."""

    async def write(self, pending: PendingResult) -> None:
        """Commits a row."""


class Sender(Protocol):
    """The way onto the lanes."""

    async def send(self, request: OcrRequest, *, somebody_waits: bool, traceparent: str | None = None) -> None:
        """Returns once the broker has the request."""


@dataclass(frozen=True)
class Processor:
    """Answers POSTs, many at a time, on the event loop."""

    lookups: Lookups
    admission: Admission
    pending: PendingList
    sender: Sender
    waiters: Waiters
    in_flight: InFlight
    settings: ApiSettings
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic

    async def process(
        self,
        user_id: str,
        key_text: str,
        preference: Preference,
        traceparent: str | None = None,
        hung_up: Callable[[], Coroutine[None, None, None]] | None = None,
    ) -> OcrResult | AcceptedResult:
        """The result, or, for those who sent `Prefer`, the word that it will come.

        Raises:
            ApiError: every other answer.
            Overloaded: too many POSTs are in flight.
            HungUp: nobody waits any more, as the end of `hung_up` told; an acknowledged request goes on.
            TransientError: a dependency is down; nothing is charged that is not also kept.
        """
        deadline = self.clock() + self._wait_seconds(preference)
        # 1. The key is the caller's own. Another user's is not even looked for: the answer tells nothing.
        key = own_key(user_id, key_text)
        with self.in_flight.slot(user_id):
            # 2. HEAD: the object exists, and its etag gives the identity of what will be read, and only of that.
            stored = await self.lookups.head(str(key))
            if stored is None:
                raise ApiError("file_not_found", "File not found: upload it first, then process its key")
            identity = result_id(self.lookups.uploads_bucket, str(key), stored.etag)
            # Dated before the look for the document: a failure of before it, if none is found, was removed since.
            request = self._request(identity, key, stored)
            # 3. Register: from here on no reply passes unseen.
            with self.waiters.register(identity) as waiter:
                # 4. Look for the document: it is created before its event, so a result whose event came before
                #    step 3 is found here. It was paid for: no admission.
                document = await self.lookups.document(user_id, identity)
                if document is not None:
                    return answer_of_document(document)
                # 5. Admission: nobody without balance causes work.
                self._admit(user_id)
                await self._ask(request, preference, traceparent)
                if not preference.waits:
                    return AcceptedResult(id=identity)
                # 8. Wait.
                with _listening(waiter, hung_up):
                    return await self._await_answer(waiter, request, deadline, preference)

    async def _ask(self, request: OcrRequest, preference: Preference, traceparent: str | None) -> None:
        # 6. A pending row: whoever gets the id can ask for it. It precedes the request, hence its result, too.
        row = PendingResult(request.result_id, request.user_id, request.key, request.requested_at)
        await self.pending.write(row)
        # 7. Produce: once acknowledged the work is done, whatever becomes of this process.
        await self.sender.send(request, somebody_waits=preference.waits, traceparent=traceparent)
        # The line that ties the request's id to the id that all other services log.
        _log.info("requested", extra={"correlation_id": request.result_id, "somebody_waits": preference.waits})

    async def _await_answer(
        self, waiter: Waiter, request: OcrRequest, deadline: float, preference: Preference
    ) -> OcrResult | AcceptedResult:
        while True:
            heard = await waiter.wait(deadline - self.clock())
            if not isinstance(heard, Signal):
                if self._is_for_another_request(heard):
                    waiter.rearm()
                    continue
                return await self._answer_of_reply(heard)
            if heard is Signal.GONE:
                raise HungUp
            # 9. Time is up, or replies were missed: the document tells whether it is done after all.
            document = await self.lookups.document(request.user_id, request.result_id)
            if document is not None:
                return answer_of_document(document)
            if heard is Signal.TIMED_OUT:
                return self._timed_out(request.result_id, preference)

    def _is_for_another_request(self, reply: Reply) -> bool:
        """Whether this refuses the upload of the same object, which an extractor met before it heard of a grant.

        This request was admitted, and where somebody waits balances are not asked again, so it goes on.
        """
        return (
            isinstance(reply, ResultRefused)
            and reply.error.code is ErrorCode.INSUFFICIENT_TOKENS
            and self.admission.verdict(reply.user_id) is Verdict.ADMITTED
        )

    async def _answer_of_reply(self, reply: Reply) -> OcrResult:
        if isinstance(reply, ResultCompleted):
            result = result_of_event(reply)
            if result is not None:
                return result
            document = await self.lookups.document(reply.user_id, reply.result_id)
            if document is None:
                raise unavailable("The result cannot be read right now", self.settings.retry_after_seconds)
            return answer_of_document(document)
        retry_after_seconds = None if isinstance(reply, ResultFailed) else self.settings.retry_after_seconds
        raise error_of_failure(reply.error, retry_after_seconds)

    def _timed_out(self, identity: str, preference: Preference) -> AcceptedResult:
        if preference.stated:
            return AcceptedResult(id=identity)
        headers = {"Retry-After": str(self.settings.retry_after_seconds), "Location": result_location(identity)}
        raise ApiError("timed_out", headers=headers)

    def _wait_seconds(self, preference: Preference) -> float:
        if preference.wait_seconds is None:
            return self.settings.wait_seconds_default
        return min(float(preference.wait_seconds), self.settings.wait_seconds_max)

    def _admit(self, user_id: str) -> None:
        refusal = error_of_verdict(
            self.admission.verdict(user_id), self.admission.balance(user_id), self.settings.retry_after_seconds
        )
        if refusal is not None:
            raise refusal

    def _request(self, identity: str, key: ObjectKey, stored: StoredObject) -> OcrRequest:
        return OcrRequest(
            result_id=identity,
            user_id=key.user_id,
            bucket=self.lookups.uploads_bucket,
            key=str(key),
            etag=stored.etag,
            size_bytes=stored.size_bytes,
            origin=Origin.API,
            requested_at=self.now(),
        )


@contextmanager
def _listening(waiter: Waiter, hung_up: Callable[[], Coroutine[None, None, None]] | None) -> Iterator[None]:
    """Ends the wait when the client hangs up, so that its place is free for others."""
    if hung_up is None:
        yield
        return
    listening = asyncio.create_task(hung_up())
    listening.add_done_callback(lambda done: None if done.cancelled() else waiter.tell(Signal.GONE))
    try:
        yield
    finally:
        listening.cancel()


def own_key(user_id: str, key_text: str) -> ObjectKey:
    """The parts of a key of this user's.

    Raises:
        ApiError: `invalid_key`, or `file_not_found` for another user's.
    """
    try:
        key = parse_key(key_text)
    except InvalidKey as error:
        raise ApiError("invalid_key") from error
    if key.user_id != user_id:
        raise ApiError("file_not_found", "File not found: upload it first, then process its key")
    return key


def result_location(identity: str) -> str:
    """Where a result can be asked for."""
    return f"/api/ocr/results/{identity}"
