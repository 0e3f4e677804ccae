"""Requests onto the lanes."""

import asyncio

from schemas.events import OcrRequest
from schemas.topics import REQUESTS, UPLOADS, upload_key
from services.runtime.errors import BrokerUnavailable
from services.runtime.producing import EventProducer


class RequestSender:
    """Produces requests and waits for the broker's acknowledgement."""

    def __init__(self, producer: EventProducer, *, seconds_max: float, upload_spread: int) -> None:
        self._producer = producer
        self._seconds_max = seconds_max
        self._upload_spread = upload_spread

    async def send(self, request: OcrRequest, *, somebody_waits: bool, traceparent: str | None = None) -> None:
        """Returns once the broker has the request.

        Raises:
            BrokerUnavailable: it was not acknowledged in time; whether it ever will be is not known.
        """
        topic = REQUESTS if somebody_waits else UPLOADS
        key = request.result_id
        if not somebody_waits:
            key = upload_key(request.user_id, request.key, self._upload_spread)
        acknowledged = self._producer.send(
            topic,
            key,
            request,
            subject=request.key,
            correlation_id=request.result_id,
            traceparent=traceparent,
        )
        try:
            async with asyncio.timeout(self._seconds_max):
                await asyncio.wrap_future(acknowledged)
        except TimeoutError as error:
            raise BrokerUnavailable(f"not acknowledged within {self._seconds_max} s") from error
