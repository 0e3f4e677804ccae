"""Plain HTTP/1.1 exchanges over kept connections, at a quarter of what a general client costs.

A general client parses heads as mail, follows redirects, decodes, retries. Here an exchange ends with a plain answer,
or with `NotPlain`: whoever asked has another way for whatever is unusual, and for every trouble.
"""

import re
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress

_READ_BYTES = 1 << 16
_ONCE = {"content-length", "transfer-encoding", "etag"}
_HEAD_BYTES_MAX = 1 << 16
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_JOINED_BYTES_MAX = 1 << 16
"""Up to this size a body is sent in one piece with its head."""


class NotPlain(Exception):
    """No answer, or none of the simple kind; what was asked may have been done or not."""


class Connection:
    """One connection, one exchange at a time. Every method raises `NotPlain`; then it is of no more use."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._buffer = b""

    def is_stale(self) -> bool:
        """Whether the other side has closed it, or sent what nobody asked for."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(self._buffer or poll.poll(0))

    def close(self) -> None:
        """Closes it."""
        with suppress(OSError):
            self._socket.close()

    def send(self, head: bytes, body: bytes) -> None:
        """Sends a request."""
        try:
            if len(body) <= _JOINED_BYTES_MAX:
                self._socket.sendall(head + body)
            else:
                self._socket.sendall(head)
                self._socket.sendall(body)
        except OSError as error:
            raise NotPlain(type(error).__name__) from error

    def read_head(self) -> tuple[int, dict[str, str]]:
        """Status and headers, their names in lower case."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _HEAD_BYTES_MAX:
                raise NotPlain("an endless head")
            self._buffer += self._receive()
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return _parse_head(head)

    def read_body(self, headers: Mapping[str, str]) -> Iterator[bytes]:
        """The body in pieces, as long as the headers say."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked()
        length = headers.get("content-length", "")
        if "transfer-encoding" in headers or not length.isdecimal():
            raise NotPlain("a body of unknown length")
        return self._exactly(int(length))

    def _chunked(self) -> Iterator[bytes]:
        while True:
            size = _chunk_size(self._line())
            if size == 0:
                break
            yield from self._exactly(size)
            if self._line():
                raise NotPlain("a chunk of another length than announced")
        while self._line():
            pass  # Trailers tell nothing that is asked for here.

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length:
            if not self._buffer:
                self._buffer = self._receive()
            piece, self._buffer = self._buffer[:length], self._buffer[length:]
            length -= len(piece)
            yield piece

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _HEAD_BYTES_MAX:
                raise NotPlain("an endless line")
            self._buffer += self._receive()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _receive(self) -> bytes:
        try:
            received = self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise NotPlain(type(error).__name__) from error
        if not received:
            raise NotPlain("the connection was closed within an answer")
        return received


class Connections:
    """Kept connections to one server. Safe to share between threads."""

    def __init__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None, timeout_seconds: float, kept_max: int
    ) -> None:
        self._address = (host, port)
        self._tls = tls
        self._timeout_seconds = timeout_seconds
        self._kept_max = kept_max
        self._kept: list[Connection] = []
        self._lock = threading.Lock()

    def take(self) -> Connection:
        """A kept connection that is still good, else a new one. Raises `NotPlain` when none can be had."""
        while True:
            with self._lock:
                connection = self._kept.pop() if self._kept else None
            if connection is None:
                return self._open()
            if not connection.is_stale():
                return connection
            connection.close()

    def keep(self, connection: Connection) -> None:
        """Gives one back whose answer was read to its end."""
        with self._lock:
            if len(self._kept) < self._kept_max:
                self._kept.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Closes those that are kept."""
        with self._lock:
            kept, self._kept = self._kept, []
        for connection in kept:
            connection.close()

    def _open(self) -> Connection:
        opened = None
        try:
            opened = socket.create_connection(self._address, self._timeout_seconds)
            # Else a body that follows its head waits 40 ms for the head's acknowledgement.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                opened = self._tls.wrap_socket(opened, server_hostname=self._address[0])
            return Connection(opened)
        except OSError as error:
            if opened is not None:
                opened.close()
            raise NotPlain(type(error).__name__) from error


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    status_line, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = status_line.partition(" ")
    if version != "HTTP/1.1" or not rest[:3].isdecimal() or rest[3:4] not in ("", " "):
        raise NotPlain("no status line of HTTP/1.1")
    status = int(rest[:3])
    if status < 200:
        raise NotPlain("an interim answer")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        # A name that comes twice, or a folded line, can mean two things.
        if not colon or not name or name != name.strip() or name in headers.keys() & _ONCE:
            raise NotPlain("a malformed head")
        headers[name] = value.strip()
    return status, headers


def _chunk_size(line: bytes) -> int:
    found = _CHUNK_SIZE.fullmatch(line)
    if found is None:
        raise NotPlain("a malformed chunk")
    return int(found[1], 16)
