"""Plain exchanges against a server that answers whatever the test says, byte by byte if need be."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from services.runtime.plain_http import Connections, NotPlain

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "e"\r\n\r\nhello'
CHUNKED = (
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nNoS\r\n7;x=y\r\nuchKey!\r\n0\r\nA: b\r\n\r\n"
)


class Server:
    """Answers each request of each connection with the next of its answers; None closes the connection."""

    def __init__(self) -> None:
        self.answers: list[bytes | None] = []
        self.requests: list[bytes] = []
        self.connected = 0
        self.piece_bytes = 1 << 20
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connected += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(1 << 20):
                self.requests.append(request)
                answer = self.answers.pop(0) if self.answers else None
                if answer is None:
                    return
                for begin in range(0, len(answer), self.piece_bytes):
                    connection.sendall(answer[begin : begin + self.piece_bytes])
                if b"cut" in answer:
                    return


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


@pytest.fixture
def connections(server: Server) -> Iterator[Connections]:
    made = Connections("127.0.0.1", server.port, tls=None, timeout_seconds=20, kept_max=2)
    yield made
    made.close()


Ask = Callable[[], tuple[int, dict[str, str], bytes]]


@pytest.fixture
def ask(connections: Connections) -> Ask:
    """One exchange; its connection is kept."""

    def call() -> tuple[int, dict[str, str], bytes]:
        connection = connections.take()
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        status, headers = connection.read_head()
        body = b"".join(connection.read_body(headers))
        connections.keep(connection)
        return status, headers, body

    return call


@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
@pytest.mark.parametrize(("answer", "status", "body"), [(OK, 200, b"hello"), (CHUNKED, 404, b"NoSuchKey!")])
def test_an_answer_is_read_whole_however_it_arrives(
    server: Server, ask: Ask, answer: bytes, status: int, body: bytes, piece_bytes: int
) -> None:
    server.answers, server.piece_bytes = [answer, answer], piece_bytes

    first, second = ask(), ask()

    assert (first[0], first[2]) == (second[0], second[2]) == (status, body)
    assert server.connected == 1, "what was read to its end is kept"


def test_names_of_headers_are_in_lower_case(server: Server, ask: Ask) -> None:
    server.answers = [OK]

    assert ask()[1] == {"content-length": "5", "etag": '"e"'}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "cut',
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\nhello until the end",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nETag: a\r\n folded\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    ],
)
def test_whatever_is_unusual_is_not_plain(server: Server, ask: Ask, answer: bytes | None) -> None:
    server.answers = [answer]

    with pytest.raises(NotPlain):
        ask()


def test_a_connection_that_was_closed_meanwhile_is_replaced(server: Server, connections: Connections) -> None:
    server.answers = [OK]
    kept = connections.take()
    kept.send(b"GET / HTTP/1.1\r\n\r\n", b"")
    assert b"".join(kept.read_body(kept.read_head()[1])) == b"hello"
    connections.keep(kept)
    kept.send(b"the server has no answer to this, and closes", b"")
    kept._socket.recv(1, socket.MSG_PEEK)  # Returns when the end has arrived.

    assert connections.take() is not kept


def test_what_nobody_asked_for_ends_a_connection(server: Server, connections: Connections) -> None:
    server.answers = [OK + b"HTTP/1.1 200 OK\r\n"]
    kept = connections.take()
    kept.send(b"GET / HTTP/1.1\r\n\r\n", b"")
    assert b"".join(kept.read_body(kept.read_head()[1])) == b"hello"
    connections.keep(kept)

    assert connections.take() is not kept


def test_a_long_body_is_sent_behind_its_head(server: Server, connections: Connections) -> None:
    server.answers = [OK]
    connection = connections.take()

    connection.send(b"PUT / HTTP/1.1\r\n\r\n", b"x" * 100_000)

    assert connection.read_head()[0] == 200
    assert server.requests[0].startswith(b"PUT / HTTP/1.1\r\n\r\n")


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # And never listens: the port is nobody else's meanwhile.
        connections = Connections("127.0.0.1", bound.getsockname()[1], tls=None, timeout_seconds=20, kept_max=2)

        with pytest.raises(NotPlain):
            connections.take()
