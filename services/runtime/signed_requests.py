"""The object store's most frequent calls at a fifth of boto3's cost: signed and sent, nothing else.

boto3 spends most of a call on parameters, events and parsing that plain calls have no use for; the signature is
botocore's own here too. Whatever is not a plain answer is for the caller to ask again through boto3, which knows
redirects, retries, clock skew, proxies and how errors are told.
"""

import os
import ssl
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.httpsession import create_urllib3_context, get_cert_path

from services.runtime.plain_http import Connection, Connections, NotPlain
from services.runtime.settings import ObjectStoreSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PLACEHOLDER = "key"
_TIMEOUT_SECONDS_MAX = 5
_PORTS = {"http": 80, "https": 443}


class Answer:
    """An answer; its body is in `content`, or with `stream` comes from `chunks`."""

    def __init__(self, status_code: int, headers: Mapping[str, str], body: Iterator[bytes], on_end: "_OnEnd") -> None:
        self.status_code = status_code
        self.headers = headers
        """Their names in lower case."""
        self.content = b""
        self._body = body
        self._on_end = on_end

    def chunks(self) -> Generator[bytes]:
        """The body in pieces, once. Raises `NotPlain` when it is cut."""
        try:
            yield from self._body
            self._on_end.is_whole = True
        finally:
            self._on_end()

    def close(self) -> None:
        """Whoever does not read the body to its end closes the answer."""
        self._on_end()


@dataclass
class _OnEnd:
    """What becomes of a connection: read to the end of its answer it is kept; else it is of no more use."""

    connections: Connections
    connection: Connection
    may_be_kept: bool
    is_whole: bool = False
    is_done: bool = False

    def __call__(self) -> None:
        if self.is_done:
            return
        self.is_done = True
        if self.is_whole and self.may_be_kept:
            self.connections.keep(self.connection)
        else:
            self.connection.close()


@dataclass(frozen=True)
class _Target:
    """A bucket: its URL, ending with a slash, the part of it that names the server, and the connections there."""

    url: str
    origin: str
    host: str
    connections: Connections


class SignedRequests:
    """Plain requests for objects. Safe to share between threads."""

    def __init__(self, client: "S3Client", settings: ObjectStoreSettings) -> None:
        self._client = client
        self._credentials = _credentials(settings)
        self._region = str(client.meta.region_name or settings.region)
        self._targets: dict[str, _Target | None] = {}
        self._connections: dict[str, Connections] = {}
        # A store that hangs is left to boto3 and its longer patience.
        self._timeout_seconds = max(1, min(int(settings.timeout_seconds), _TIMEOUT_SECONDS_MAX))
        self._connections_max = settings.connections_max

    def send(
        self,
        method: str,
        bucket: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        stream: bool = False,
    ) -> Answer | None:
        """The answer; with `stream` its body is read from `chunks`. None: there was none, ask boto3."""
        target = self._target(bucket) if self._credentials is not None else None
        if target is None:
            return None
        try:
            head = self._signed_head(target, method, key, headers or {}, body)
            return _exchange(target.connections, method, head, body or b"", stream=stream)
        except (BotoCoreError, NotPlain):
            return None

    def close(self) -> None:
        """Closes the connections."""
        for connections in self._connections.values():
            connections.close()

    def _signed_head(
        self, target: _Target, method: str, key: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        assert self._credentials is not None
        path = quote(key, safe="/~")
        request = AWSRequest(method, target.url + path, dict(headers), body)
        # Frozen anew each time: temporary credentials are renewed in here.
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        lines = [f"{method} {target.url.removeprefix(target.origin)}{path} HTTP/1.1", f"Host: {target.host}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        if any("\n" in line or "\r" in line for line in lines):
            raise NotPlain("a header of several lines")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "strict")

    def _target(self, bucket: str) -> _Target | None:
        """Where a bucket is, as boto3 itself would address it; None where only boto3 gets there: through a proxy."""
        if bucket not in self._targets:
            signed = self._client.generate_presigned_url("head_object", Params={"Bucket": bucket, "Key": _PLACEHOLDER})
            self._targets[bucket] = self._target_at(signed.partition("?")[0].removesuffix(_PLACEHOLDER))
        return self._targets[bucket]

    def _target_at(self, url: str) -> _Target | None:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
        if host is None or port is None or (parts.scheme in getproxies() and not proxy_bypass(host)):
            return None
        origin = f"{parts.scheme}://{parts.netloc}"
        connections = self._connections.get(origin)
        if connections is None:
            connections = self._connections[origin] = Connections(
                host,
                port,
                tls=_tls() if parts.scheme == "https" else None,
                timeout_seconds=self._timeout_seconds,
                kept_max=self._connections_max,
            )
        default_port = f":{_PORTS[parts.scheme]}"
        return _Target(url, origin, parts.netloc.removesuffix(default_port), connections)


def _exchange(connections: Connections, method: str, head: bytes, body: bytes, *, stream: bool) -> Answer:
    connection = connections.take()
    on_end = _OnEnd(connections, connection, may_be_kept=False)
    try:
        connection.send(head, body)
        status, headers = connection.read_head()
        on_end.may_be_kept = headers.get("connection", "").lower() != "close"
        has_body = method != "HEAD" and status not in (204, 304)
        answer = Answer(status, headers, connection.read_body(headers) if has_body else iter(()), on_end)
        if not stream:
            answer.content = b"".join(answer.chunks())
        return answer
    except BaseException:
        on_end()
        raise


def _tls() -> ssl.SSLContext:
    """As boto3 has it: the same protocols, the same authorities."""
    context: ssl.SSLContext = create_urllib3_context()
    context.load_verify_locations(os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True))
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _credentials(settings: ObjectStoreSettings) -> Credentials | None:
    if settings.access_key is not None and settings.secret_key is not None:
        return Credentials(settings.access_key.get_secret_value(), settings.secret_key.get_secret_value())
    found: Credentials | None = boto3.session.Session().get_credentials()
    return found
