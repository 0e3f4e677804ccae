"""Who is told of one user's results: it refuses now and then, and notes what it took."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import Engine

from services.local.ports import LOOPBACK
from services.webhook_registry.registry import add_webhook

_REFUSES_EVERY = 10
"""Requests: each such one is answered 503, and has to come again."""


@dataclass
class Receiver:
    """What a user's receiver was told; written by the threads of its server."""

    user_id: str
    secret: str = ""
    told: set[str] = field(default_factory=set)
    """Ids of the results that it answered 204 to."""
    unsigned: int = 0
    """Requests without a signature of its secret."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def take(self, said: str, body: bytes) -> int:
        """One request: the value of its signature's header, and its body. Returns the status to answer."""
        values = dict(part.split("=", 1) for part in said.split(",") if "=" in part)
        signed = f"{values.get('t')}.".encode() + body
        expected = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, values.get("v1", "")):
            self.unsigned += 1
            return 400
        if next(self._numbers) % _REFUSES_EVERY == 0:
            return 503
        self.told.add(json.loads(body)["data"]["id"])
        return 204


@contextmanager
def registered_receiver(engine: Engine, user_id: str) -> Iterator[Receiver]:
    """A receiver on the loopback, registered for the completed and failed results of a user from now on."""
    receiver = Receiver(user_id)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(receiver.take(self.headers.get("OCR-Signature", ""), body))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """The report has its own words."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    url = f"http://{LOOPBACK}:{server.server_port}/results"
    types = ["result.completed", "result.failed"]
    receiver.secret = add_webhook(engine, user_id, url, types, datetime.now(UTC)).secret
    threading.Thread(target=server.serve_forever, name="receiver", daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
