"""Requests onto the lanes."""

import asyncio

from schemas.events import OcrRequest
from schemas.topics import REQUESTS, UPLOADS, upload_key
from services.runtime.producing import EventProducer


class RequestSender:
    """Produces requests and waits for the broker's acknowledgement."""

    def __init__(self, producer: EventProducer, *, upload_spread: int) -> None:
        self._producer = producer
        self._upload_spread = upload_spread

    async def send(self, request: OcrRequest, *, somebody_waits: bool, traceparent: str | None = None) -> None:
        """Returns once the broker has the request.

        Raises:
            BrokerUnavailable: it was not acknowledged in time; whether the broker has it is not known.
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
        # The client's own delivery timeout ends this: a request that was given up on is not sent behind our back.
        await asyncio.wrap_future(acknowledged)
