"""Notifications by HTTP POST, from stores that push them: MinIO, Ceph RGW, versitygw, EventBridge."""

import asyncio
import base64
import binascii
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from schemas.cloudevents import Undecodable
from schemas.events import Origin
from services.intake.requesting import GaveUp, UploadRequester
from services.intake.settings import IntakeSettings
from services.intake.worker import Fate, Sorted, sort_out
from services.runtime.errors import TransientError
from services.runtime.metrics import NOTIFICATIONS

_log = logging.getLogger(__name__)
_SOURCE = "http"
_SENDERS_MAX = 64
_CONNECTIONS_MAX = 512
_RETRY_AFTER_SECONDS = b"5"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _Refusal(Exception):
    def __init__(self, status: int, reason: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = list(headers)


class HttpPushApp:
    """An ASGI application with one endpoint: POST a notification, 204 once its requests are acknowledged.

    400 undecodable, 401 no or wrong credentials, 404 and 405 another path or method, 413 too long, 503 when the
    store or the broker stayed away: nothing was taken in, send it again.
    """

    def __init__(self, settings: IntakeSettings, requester: UploadRequester, stopping: Callable[[], bool]) -> None:
        self._settings = settings
        self._requester = requester
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(_SENDERS_MAX, thread_name_prefix="http-push")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        try:
            self._check(scope)
            await self._take_in(await self._body(receive))
            await _answer(send, 204, b"", [])
        except _Refusal as refusal:
            await _answer(send, refusal.status, json.dumps({"error": str(refusal)}).encode(), refusal.headers)

    def _check(self, scope: Scope) -> None:
        if scope["path"] != self._settings.http_path:
            raise _Refusal(404, "no such page")
        if scope["method"] != "POST":
            raise _Refusal(405, "only POST", (b"allow", b"POST"))
        if not is_authorized(dict(scope["headers"]).get(b"authorization", b""), self._settings):
            raise _Refusal(401, "wrong or missing credentials", (b"www-authenticate", b'Basic realm="notifications"'))

    async def _body(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refusal(400, "the sender hung up")
            body += message.get("body", b"")
            if len(body) > self._settings.http_body_bytes_max:
                raise _Refusal(413, f"at most {self._settings.http_body_bytes_max} bytes")
            if not message.get("more_body"):
                return bytes(body)

    async def _take_in(self, body: bytes) -> None:
        try:
            sorted_out = sort_out(body, self._requester.bucket)
        except Undecodable as reason:
            NOTIFICATIONS.labels(source=_SOURCE, fate=Fate.UNDECODABLE).inc()
            raise _Refusal(400, str(reason)) from reason
        NOTIFICATIONS.labels(source=_SOURCE, fate=sorted_out.fate).inc()
        if not sorted_out.keys:
            return
        deadline = time.monotonic() + self._settings.http_seconds_max
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._request, sorted_out, deadline)
        except TransientError as error:
            raise _Refusal(503, "come again later", (b"retry-after", _RETRY_AFTER_SECONDS)) from error

    def _request(self, sorted_out: Sorted, deadline: float) -> None:
        def give_up() -> bool:
            return time.monotonic() > deadline or self._stopping()

        if give_up():
            raise GaveUp("too many notifications at once")
        self._requester.request(sorted_out.keys, Origin.NOTIFICATION, give_up)


def is_authorized(header: bytes, settings: IntakeSettings) -> bool:
    """Whether an `Authorization` header has the token or the name and password; compared in constant time."""
    scheme, _, credentials = header.strip().partition(b" ")
    given = credentials.strip()
    if scheme.lower() == b"bearer" and settings.http_token is not None:
        return hmac.compare_digest(given, settings.http_token.get_secret_value().encode())
    if scheme.lower() == b"basic" and settings.http_username is not None and settings.http_password is not None:
        expected = f"{settings.http_username}:{settings.http_password.get_secret_value()}".encode()
        try:
            return hmac.compare_digest(base64.b64decode(given, validate=True), expected)
        except binascii.Error:
            return False
    return False


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())] if status != 204 else headers
    if body:
        headers = [*headers, (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class HttpPushServer:
    """Serves the application until told to stop, and lets open requests end."""

    def __init__(self, app: HttpPushApp, host: str, port: int) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            lifespan="off",
            log_config=None,
            access_log=False,
            limit_concurrency=_CONNECTIONS_MAX,
            server_header=False,
            timeout_graceful_shutdown=15,
        )
        self._server = uvicorn.Server(config)

    @property
    def port(self) -> int | None:
        """The port it listens on; None while it does not."""
        for server in getattr(self._server, "servers", []):
            for socket in server.sockets:
                return int(socket.getsockname()[1])
        return None

    def problem(self) -> str | None:
        """Why no notifications are accepted; None when they are."""
        return None if self._server.started else "the port for notifications is not open yet"

    def run(self, stopping: Callable[[], bool], tick: Callable[[], None]) -> None:
        """Serves until `stopping`; runs in a thread of its own."""

        async def serve() -> None:
            serving = asyncio.create_task(self._server.serve())
            announced = False
            while not serving.done():
                tick()
                if not announced and self._server.started:
                    announced = True
                    _log.info("notifications by HTTP", extra={"port": self.port})
                if stopping():
                    self._server.should_exit = True
                await asyncio.wait((serving,), timeout=0.2)
            await serving

        asyncio.run(serve())
