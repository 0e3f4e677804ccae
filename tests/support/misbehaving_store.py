"""An S3 server, as much of one as a test needs, that misbehaves in chosen ways."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from services.runtime.settings import ObjectStoreSettings


@dataclass
class Misbehaviour:
    """What the store does wrong; counters go down as they are used up."""

    answers_500: int = 0
    answers_409: int = 0
    cut_bodies: int = 0
    cut_heads: int = 0
    cut_continues: int = 0
    """Of the answers that a client asks for before it sends a body."""
    cut_head_bytes: int = 0
    """How much of a cut head arrives."""
    lost_responses: int = 0
    ignores_conditions: bool = False
    requests: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def use(self, name: str) -> bool:
        """Whether one of this misbehaviour is left, which is then used up."""
        with self.lock:
            left = int(getattr(self, name))
            setattr(self, name, max(0, left - 1))
            return left > 0


@contextmanager
def misbehaving_store() -> Iterator[tuple[ObjectStoreSettings, Misbehaviour]]:
    """A store on a free port of the loopback, and what it is to do wrong."""
    behaviour = Misbehaviour()

    class Handler(_Handler):
        store = behaviour

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings = ObjectStoreSettings.model_validate(
        {
            "endpoint_url": f"http://127.0.0.1:{server.server_port}",
            "access_key": "test",
            "secret_key": "test",
            "timeout_seconds": 5,
        }
    )
    try:
        yield settings, behaviour
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    store: Misbehaviour
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        key = self._begin()
        body = self.store.objects.get(key)
        if self._failed():
            return
        if body is None:
            self._error(404, "NoSuchKey")
        elif self._condition_fails(self.headers.get("If-Match"), body):
            self._error(412, "PreconditionFailed")
        elif self.store.use("cut_bodies"):
            self._head(200, body, len(body))
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        else:
            self._head(200, body, len(body))
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        key = self._begin()
        body = self.store.objects.get(key)
        if body is None:
            is_bucket = "/" not in key
            self.send_response(200 if is_bucket else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._head(200, body, len(body))

    def do_PUT(self) -> None:
        key = self._begin()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._failed():
            return
        if self.store.use("answers_409"):
            self._error(409, "ConditionalRequestConflict")
            return
        with self.store.lock:
            old = self.store.objects.get(key)
            exists = self.headers.get("If-None-Match") == "*" and old is not None
            changed = self._condition_fails(self.headers.get("If-Match"), old)
            refused = (exists or changed) and not self.store.ignores_conditions
            if not refused:
                self.store.objects[key] = body
        if refused:
            self._error(412, "PreconditionFailed")
        elif self.store.use("lost_responses"):
            self.close_connection = True
        else:
            self._head(200, body, 0)

    def do_DELETE(self) -> None:
        self.store.objects.pop(self._begin(), None)
        self.send_response(204)
        self.end_headers()

    def handle_expect_100(self) -> bool:
        """Tells a client that asks whether it may send its body."""
        if self.store.use("cut_continues"):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n")
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return False
        return super().handle_expect_100()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _begin(self) -> str:
        self.store.requests.append(self.command)
        return unquote(self.path.split("?")[0]).lstrip("/")

    def _failed(self) -> bool:
        if not self.store.use("answers_500"):
            return False
        self._error(500, "InternalError")
        return True

    def _condition_fails(self, condition: str | None, body: bytes | None) -> bool:
        return condition is not None and (body is None or condition.strip('"') != _etag(body))

    def _head(self, status: int, body: bytes, length: int) -> None:
        if self.store.use("cut_heads"):
            lines = f'HTTP/1.1 {status} OK\r\nContent-Length: {length}\r\nETag: "{_etag(body)}"\r\n'
            self.wfile.write(lines.encode()[: self.store.cut_head_bytes])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("ETag", f'"{_etag(body)}"')
        self.send_header("Last-Modified", "Mon, 15 Jun 2026 10:30:00 GMT")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _error(self, status: int, code: str) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
