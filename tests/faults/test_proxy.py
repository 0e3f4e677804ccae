"""The proxies do to connections what they say."""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.local.ports import LOOPBACK
from tests.faults.proxy import Proxies, Proxy, Treatment, refuse
from tests.faults.store_treatments import answer_500, cut_short, slowly

_BODY = b"0123456789" * 1000


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    heard = 0

    def do_GET(self) -> None:
        type(self).heard += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(_BODY)))
        self.end_headers()
        self.wfile.write(_BODY)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    _Handler.heard = 0
    server, proxies = ThreadingHTTPServer((LOOPBACK, 0), _Handler), Proxies()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield proxies.to(server.server_port)
    proxies.close()
    server.shutdown()
    server.server_close()


def _get(proxy: Proxy) -> tuple[int, bytes]:
    connection = HTTPConnection(LOOPBACK, proxy.port, timeout=10)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _drain(connection: socket.socket) -> None:
    """Reads until the connection is closed or reset."""
    with suppress(ConnectionError):
        while connection.recv(1 << 16):
            pass


def test_it_passes_on_and_again_once_healed(proxy: Proxy) -> None:
    assert _get(proxy) == (200, _BODY)
    proxy.treat(refuse)
    with pytest.raises(OSError):  # noqa: PT011
        _get(proxy)
    proxy.heal()
    assert _get(proxy) == (200, _BODY)


def test_a_cut_ends_connections_that_are_open(proxy: Proxy) -> None:
    with socket.create_connection((LOOPBACK, proxy.port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert connection.recv(1)
        proxy.cut()
        _drain(connection)  # a time-out, of a connection that is still open, would fail here


def test_a_500_never_reaches_the_store(proxy: Proxy) -> None:
    proxy.treat(answer_500)
    assert _get(proxy)[0] == 500
    assert _Handler.heard == 0


def test_an_answer_cut_short_was_made_all_the_same(proxy: Proxy) -> None:
    proxy.treat(cut_short(random.Random(1)))
    with pytest.raises((OSError, HTTPException)):
        _get(proxy)
    assert _Handler.heard == 1


def test_a_slow_store_answers_in_full(proxy: Proxy) -> None:
    treatment: Treatment = slowly(0.01)
    proxy.treat(treatment)
    assert _get(proxy) == (200, _BODY)


def test_a_treatment_may_heal_its_own_proxy(proxy: Proxy) -> None:
    async def heal(_client: object, _open_target: object) -> None:
        proxy.heal()

    proxy.treat(heal)
    with pytest.raises((HTTPException, ConnectionError)):
        _get(proxy)
    assert _get(proxy) == (200, _BODY)
