"""Health and metrics of a worker, over HTTP, from a thread of its own."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

_log = logging.getLogger(__name__)

Check = Callable[[], str | None]
"""None when well, else a sentence that says what is wrong."""


class Liveness:
    """The age of the main loop's last round: a loop that hangs is started anew."""

    def __init__(self, age_seconds_max: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._age_seconds_max = age_seconds_max
        self._clock = clock
        self._ticked_at = clock()

    def tick(self) -> None:
        """The loop went round."""
        self._ticked_at = self._clock()

    def __call__(self) -> str | None:
        age = self._clock() - self._ticked_at
        return None if age <= self._age_seconds_max else f"the main loop has not gone round for {age:.0f} s"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds; their lines would drown the rest."""


class HealthServer:
    """Serves `/healthz` (live), `/readyz` (ready) and `/metrics` until closed."""

    def __init__(self, host: str, port: int, live: Check, ready: Check) -> None:
        self._checks = {"/healthz": live, "/readyz": ready}
        self._metrics = make_wsgi_app()
        self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_QuietHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()
        _log.info("health and metrics", extra={"port": self.port})

    def close(self) -> None:
        """Stops answering."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        if path == "/metrics":
            return self._metrics(environ, start_response)  # type: ignore[no-any-return]
        check = self._checks.get(path)
        problem = "no such page" if check is None else check()
        status = "404 Not Found" if check is None else "200 OK" if problem is None else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps({"status": "ok"} if problem is None else {"error": problem}).encode()]
