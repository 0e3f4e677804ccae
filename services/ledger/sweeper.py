"""Sweeps again and again, in the one replica whose turn it is."""

import logging
from collections.abc import Callable
from threading import Event

from schemas.events import OcrRequest
from schemas.topics import UPLOADS, upload_key
from services.ledger.lane_offsets import Place
from services.ledger.sweep import CalledOff, Sweep
from services.runtime import tracing
from services.runtime.backoff import Backoff
from services.runtime.errors import BrokerUnavailable, TransientError
from services.runtime.producing import EventProducer

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.2
_ACKNOWLEDGED_SECONDS_MAX = 30.0


class Sweeper:
    """The thread around `Sweep`."""

    def __init__(self, sweep: Sweep, *, is_elected: Callable[[], bool], cycle_seconds: float) -> None:
        self._sweep = sweep
        self._is_elected = is_elected
        self._cycle_seconds = cycle_seconds

    def run(self, stop: Event) -> None:
        """Sweeps until `stop` is set."""
        backoff = Backoff(first_seconds=1.0, seconds_max=60.0)

        def go_on() -> None:
            if stop.is_set() or not self._is_elected():
                raise CalledOff

        while not stop.is_set():
            if not self._is_elected():
                stop.wait(_IDLE_SECONDS)
                continue
            try:
                count = self._sweep.once(go_on)
                backoff.succeeded()
                _log.info("swept the documents", extra={"takeovers": count})
                stop.wait(self._cycle_seconds)
            except CalledOff:
                _log.info("sweeping ends here")
            except TransientError as error:
                _log.warning("the sweep begins anew later: %s", error)
                stop.wait(backoff.failed())


def requester(producer: EventProducer, spread: int) -> Callable[[OcrRequest], Place]:
    """Produces requests onto `ocr.uploads`, one after the other acknowledged, and says where each stands."""

    def request(event: OcrRequest) -> Place:
        key = upload_key(event.user_id, event.key, spread)
        # Whose author is gone has no trace that could go on.
        with tracing.span("take over", attributes={"ocr.result_id": event.result_id}) as span:
            sent = producer.send(
                UPLOADS,
                key,
                event,
                subject=event.result_id,
                correlation_id=event.result_id,
                traceparent=span.traceparent,
            )
        try:
            message = sent.result(_ACKNOWLEDGED_SECONDS_MAX)
        except TimeoutError as error:
            raise BrokerUnavailable("a takeover was not acknowledged in time") from error
        return Place(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))

    return request
