"""The object store behind the few calls that we make of it; every failure is a type."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from os import SEEK_END
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import add_expect_header
from urllib3.exceptions import HTTPError

from schemas.identity import plain_etag
from services.runtime.errors import BucketMissing, StoreUnavailable
from services.runtime.metrics import STORE_CALLS
from services.runtime.plain_http import NotPlain
from services.runtime.settings import ObjectStoreSettings
from services.runtime.signed_requests import Answer, SignedRequests

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK_BYTES = 1 << 20
_ABSENT = {"NoSuchKey", "NotFound", "404"}
_REFUSED = {"AccessDenied", "403"}
_CONFLICTS_MAX = 20
_BUCKET_SEEN_SECONDS = 10.0
_CUT = "the store's answer was cut within its head"
_RIGHTS = {
    "head": "s3:GetObject",
    "get": "s3:GetObject",
    "download": "s3:GetObject",
    "create": "s3:PutObject",
    "replace": "s3:PutObject",
    "put": "s3:PutObject",
    "delete": "s3:DeleteObject",
    "head_bucket": "s3:ListBucket",
    "list": "s3:ListBucket",
}


class ObjectGone(Exception):
    """No object lies under this key."""


class ObjectChanged(Exception):
    """The object under this key is no longer the one that was asked for."""


class PreconditionFailed(Exception):
    """A conditional write found the object existing, or changed."""


class ObjectTooLarge(Exception):
    """The object has more bytes than allowed."""


@dataclass(frozen=True)
class StoredObject:
    """What HEAD or a listing says of an object; the etag is without quotes."""

    key: str
    etag: str
    size_bytes: int
    modified_at: datetime
    content_type: str | None = None


def create_client(settings: ObjectStoreSettings, *, endpoint_url: str | None = None) -> "S3Client":
    """A boto3 client: V4 signatures, path style (which every store speaks), bounded waits, two retries."""
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    key = settings.access_key.get_secret_value() if settings.access_key else None
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint_url or settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
            connect_timeout=5,
            read_timeout=settings.timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=settings.connections_max,
            # Not every store knows the newer checksums; integrity is held by the etag.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    # botocore reads the answer to `Expect: 100-continue` without a look for its end: a connection that is cut within it
    # keeps the thread busy for ever. Nothing is lost by sending the body at once.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return client


def connect(settings: ObjectStoreSettings) -> "ObjectStore":
    """A store whose frequent calls take the short way."""
    client = create_client(settings)
    return ObjectStore(client, SignedRequests(client, settings))


class ObjectStore:
    """Reads pinned to an etag, conditional writes, listings. Safe to share between threads, as boto3 clients are."""

    def __init__(self, client: "S3Client", quick: SignedRequests | None = None) -> None:
        self._client = client
        self._quick = quick
        self._seen_at: dict[str, float] = {}

    def close(self) -> None:
        """Closes the connections."""
        if self._quick is not None:
            self._quick.close()
        self._client.close()

    @property
    def client(self) -> "S3Client":
        """The boto3 client, for presigning and for the set-up of buckets."""
        return self._client

    def head(self, bucket: str, key: str) -> StoredObject | None:
        """What lies under `key`, None if nothing does.

        Raises:
            BucketMissing: there is no such bucket, since some seconds at the latest.
            StoreUnavailable: no answer, or an error of the store's own.
        """
        found = self._head(bucket, key)
        if found is None and time.monotonic() - self._seen_at.get(bucket, -math.inf) > _BUCKET_SEEN_SECONDS:
            # An answer to HEAD has no body: that the bucket is missing looks just the same.
            self.require_bucket(bucket)
        return found

    def require_bucket(self, bucket: str) -> None:
        """Returns if there is such a bucket, readable or not.

        Raises:
            BucketMissing: there is none.
            StoreUnavailable: no answer, or an error of the store's own.
        """
        with _call("head_bucket"):
            try:
                self._client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if _status(error) == 404:
                    raise BucketMissing(f"the bucket {bucket} does not exist") from error
                if _status(error) not in range(400, 500):
                    raise
        self._seen_at[bucket] = time.monotonic()

    def _head(self, bucket: str, key: str) -> StoredObject | None:
        with _call("head"):
            answer = self._send("HEAD", bucket, key, plain=(200, 404))
            if answer is not None:
                return _described(key, answer) if answer.status_code == 200 else None
            try:
                found = self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise
            if "ContentLength" not in found or "LastModified" not in found:
                raise StoreUnavailable(_CUT)
            etag = _whole_etag(found.get("ETag"))
        return StoredObject(key, etag, found["ContentLength"], found["LastModified"], found.get("ContentType"))

    def read(self, bucket: str, key: str) -> tuple[bytes, str] | None:
        """Body and etag of an object of ours, None if there is none.

        Raises:
            StoreUnavailable: no answer, a cut body, or an error of the store's own.
        """
        with _call("get"):
            answer = self._send("GET", bucket, key, plain=(200, 404))
            if answer is not None and answer.status_code == 200:
                return answer.content, _whole_etag(answer.headers.get("etag"))
            # A bucket that is missing is a 404 too, and no answer to this question.
            if answer is not None and b"NoSuchKey" in answer.content:
                return None
            try:
                found = self._client.get_object(Bucket=bucket, Key=key)
                return found["Body"].read(), _whole_etag(found.get("ETag"))
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise

    def download(self, bucket: str, key: str, etag: str, path: Path, bytes_max: int) -> int:
        """Writes this very content of the object to `path` and returns its size in bytes.

        Raises:
            ObjectGone: nothing lies under `key`.
            ObjectChanged: something else lies there now.
            ObjectTooLarge: it has more than `bytes_max` bytes; nothing beyond them was read.
            StoreUnavailable: no answer, a cut body, or an error of the store's own.
        """
        pinned = f'"{plain_etag(etag)}"'
        with _call("download"):
            answer = self._send("GET", bucket, key, {"If-Match": pinned}, plain=(200,), stream=True)
            if answer is not None:
                with _closed_on_error(answer.close):
                    if _whole_etag(answer.headers.get("etag")) != plain_etag(etag):
                        raise ObjectChanged(key)
                    size_bytes = _size_bytes(answer.headers.get("content-length"))
                return _spool(_chunks(answer), size_bytes, path, bytes_max)
            try:
                found = self._client.get_object(Bucket=bucket, Key=key, IfMatch=pinned)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    raise ObjectGone(key) from error
                if _status(error) == 412:
                    raise ObjectChanged(key) from error
                raise
            with _closed_on_error(found["Body"].close):
                if _whole_etag(found.get("ETag")) != plain_etag(etag):
                    raise ObjectChanged(key)
                size_bytes = _size_bytes(found.get("ContentLength"))
            chunks = (chunk for chunk in found["Body"].iter_chunks(_CHUNK_BYTES))
            return _spool(chunks, size_bytes, path, bytes_max)

    def create(self, bucket: str, key: str, body: bytes, content_type: str) -> str:
        """Writes an object only if none is there, and returns its etag.

        Raises:
            PreconditionFailed: there is one. After a lost response it may be our own: read it back.
            StoreUnavailable: no answer, or an error of the store's own; the object may exist or not.
        """
        with _call("create"):
            headers = {"Content-Type": content_type, "If-None-Match": "*"}
            answer = self._send("PUT", bucket, key, headers, body, plain=(200, 412))
            if answer is not None and answer.status_code == 412:
                raise PreconditionFailed(key)
            if answer is not None:
                return _whole_etag(answer.headers.get("etag"))
        # No plain answer: it may have been written all the same. Then this finds it, and its reader knows it.
        return self._put("create", Bucket=bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*")

    def replace(self, bucket: str, key: str, body: bytes, content_type: str, etag: str) -> str:
        """Writes over an object only if it is still the one of `etag`, and returns the new etag.

        Raises:
            PreconditionFailed: it is another, or gone.
            StoreUnavailable: no answer, or an error of the store's own; it may be replaced or not.
        """
        quoted = f'"{plain_etag(etag)}"'
        return self._put("replace", Bucket=bucket, Key=key, Body=body, ContentType=content_type, IfMatch=quoted)

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> str:
        """Writes an object whatever is there, and returns its etag."""
        return self._put("put", Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def put_file(self, bucket: str, key: str, file: IO[bytes], content_type: str) -> None:
        """Writes an object from an open file, from its beginning to its end, without holding it in memory.

        Raises:
            StoreUnavailable: no answer, or an error of the store's own; the object may exist or not.
        """
        size_bytes = file.seek(0, SEEK_END)
        file.seek(0)
        with _call("put"):
            self._client.put_object(
                Bucket=bucket, Key=key, Body=file, ContentType=content_type, ContentLength=size_bytes
            )

    def delete(self, bucket: str, key: str) -> None:
        """Deletes an object; one that does not exist is no error."""
        with _call("delete"):
            self._client.delete_object(Bucket=bucket, Key=key)

    def delete_version(self, bucket: str, key: str, etag: str) -> None:
        """Deletes an object only if it is still the one of `etag`; one that does not exist is no error.

        Raises:
            PreconditionFailed: it is another.
            StoreUnavailable: no answer, or an error of the store's own; it may be deleted or not.
        """
        with _call("delete"):
            try:
                self._client.delete_object(Bucket=bucket, Key=key, IfMatch=f'"{plain_etag(etag)}"')
            except ClientError as error:
                if _status(error) in (409, 412):
                    raise PreconditionFailed(key) from error
                if _code(error) not in _ABSENT:
                    raise

    def list(self, bucket: str, prefix: str, start_after: str = "") -> Iterator[StoredObject]:
        """The objects under `prefix` in the order of their keys, a thousand a call.

        Raises:
            StoreUnavailable: while iterating; what was yielded before holds.
        """
        token: str | None = None
        while True:
            with _call("list"):
                page = self._list_page(bucket, prefix, start_after, token)
            for found in page.get("Contents", ()):
                etag = plain_etag(found["ETag"])
                yield StoredObject(found["Key"], etag, found["Size"], found["LastModified"])
            token = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or not token:
                return

    def list_folders(self, bucket: str, prefix: str) -> Iterator[str]:
        """The common prefixes one level below `prefix`, each ending with a slash, a page a call.

        Raises:
            StoreUnavailable: while iterating; what was yielded before holds.
        """
        token: str | None = None
        while True:
            with _call("list"):
                page = self._list_page(bucket, prefix, "", token, Delimiter="/")
            for folder in page.get("CommonPrefixes", ()):
                yield folder["Prefix"]
            token = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or not token:
                return

    def _list_page(self, bucket: str, prefix: str, start_after: str, token: str | None, **more: str) -> dict[str, Any]:
        arguments: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, **more}
        if token:
            arguments["ContinuationToken"] = token
        elif start_after:
            arguments["StartAfter"] = start_after
        return dict(self._client.list_objects_v2(**arguments))

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        plain: tuple[int, ...],
        stream: bool = False,
    ) -> Answer | None:
        """The short way's answer if it is one of the `plain` ones; else None, and boto3 is to be asked."""
        if self._quick is None:
            return None
        answer = self._quick.send(method, bucket, key, headers, body, stream=stream)
        if answer is None or answer.status_code in plain:
            return answer
        answer.close()
        return None

    def _put(self, operation: str, **arguments: Any) -> str:
        for attempt in range(_CONFLICTS_MAX):
            with _call(operation):
                try:
                    return _whole_etag(self._client.put_object(**arguments).get("ETag"))
                except ClientError as error:
                    if _code(error) == "ConditionalRequestConflict" or _status(error) == 409:
                        # Another conditional write is under way: the outcome is not known yet, ask again.
                        time.sleep(min(0.02 * 2**attempt, 1.0))
                        continue
                    if _status(error) == 412 or ("IfMatch" in arguments and _code(error) in _ABSENT):
                        raise PreconditionFailed(str(arguments["Key"])) from error
                    raise
        raise StoreUnavailable(f"{operation}: conflicting conditional writes without end")


def _described(key: str, answer: Answer) -> StoredObject:
    headers = answer.headers
    etag, size_bytes = _whole_etag(headers.get("etag")), _size_bytes(headers.get("content-length"))
    try:
        modified_at = parsedate_to_datetime(headers.get("last-modified") or "")
    except (TypeError, ValueError) as error:
        raise StoreUnavailable(_CUT) from error
    return StoredObject(key, etag, size_bytes, modified_at, headers.get("content-type"))


def _whole_etag(text: str | None) -> str:
    """The etag without its quotes.

    A connection that is cut within an answer's head leaves a head that ends early, which Python's HTTP client takes
    for a whole one. Half an etag would be another identity.
    """
    if not text or (text.removeprefix("W/").startswith('"') and (len(text) < 2 or not text.endswith('"'))):
        raise StoreUnavailable(_CUT)
    return plain_etag(text)


def _size_bytes(text: str | int | None) -> int:
    try:
        return int("" if text is None else text)
    except ValueError as error:
        raise StoreUnavailable(_CUT) from error


@contextmanager
def _closed_on_error(close: Callable[[], object]) -> Iterator[None]:
    try:
        yield
    except Exception:
        close()
        raise


def _chunks(answer: Answer) -> Generator[bytes]:
    try:
        yield from answer.chunks()
    except NotPlain as error:
        raise StoreUnavailable(f"download: {error}") from error
    finally:
        answer.close()


def _spool(chunks: Generator[bytes], size_bytes: int, path: Path, bytes_max: int) -> int:
    with closing(chunks):
        if size_bytes > bytes_max:
            raise ObjectTooLarge(f"{size_bytes:,} bytes, at most {bytes_max:,} are read")
        written = 0
        with path.open("wb") as file:
            for chunk in chunks:
                written += file.write(chunk)
    if written != size_bytes:
        raise StoreUnavailable(f"a body of {written} bytes where {size_bytes} were announced")
    return written


@contextmanager
def _call(operation: str) -> Iterator[None]:
    started, outcome = time.perf_counter(), "ok"
    try:
        yield
    except (ObjectGone, ObjectChanged, PreconditionFailed, ObjectTooLarge):
        outcome = "refused"
        raise
    except (ClientError, BotoCoreError, HTTPError, OSError) as error:
        outcome = "error"
        raise StoreUnavailable(f"{operation}: {describe(error, _RIGHTS[operation])}") from error
    except StoreUnavailable:
        outcome = "error"
        raise
    finally:
        STORE_CALLS.labels(operation=operation, outcome=outcome).observe(time.perf_counter() - started)


def describe(error: Exception, right: str) -> str:
    """What went wrong with a call; where the store refuses it, the right that the call needs."""
    if not isinstance(error, ClientError):
        return type(error).__name__
    said = f"{_code(error)} ({_status(error)})"
    return f"{said}: allow {right}" if _code(error) in _REFUSED else said


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
