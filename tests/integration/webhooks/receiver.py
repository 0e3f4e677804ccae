"""A receiver of webhooks that behaves as badly as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behave = Callable[[BaseHTTPRequestHandler], None]


class Receiver:
    """An HTTP server on 127.0.0.1; every request it gets stands in `requests`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.behave: Behave = answer(200)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.requests.append((self.path, dict(self.headers), body))
                receiver.behave(self)

            def log_message(self, *_: Any) -> None:
                """Tests have their own words."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    def bodies(self) -> list[dict[str, Any]]:
        """What it got, decoded."""
        return [json.loads(body) for _, _, body in self.requests]


def answer(status: int, body: bytes = b"", **headers: str) -> Behave:
    """Answers at once."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def hang(seconds: float) -> Behave:
    """Says nothing for a while."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        answer(200)(handler)

    return behave


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Sends a header byte by byte, always in time for whoever waits for the next byte."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(300):
            handler.wfile.write(b"a")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass  # whoever waited has gone


def flood(handler: BaseHTTPRequestHandler) -> None:
    """Answers with more than anybody wants to read."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            handler.wfile.write(b"a" * 65536)
    except OSError:
        pass


def speak_ssh(handler: BaseHTTPRequestHandler) -> None:
    """Another protocol altogether."""
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
