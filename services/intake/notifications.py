"""Notifications of object stores, whatever their shape, as hints: look under these keys of this bucket.

A notification does not tell how its key is encoded, so each hint has the key as it came and form-decoded.
Sequencers, sizes, etags and versions in it are not looked at: they may be missing, late or wrong.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from pydantic_core import from_json

from schemas.cloudevents import Undecodable

_log = logging.getLogger(__name__)

_CREATED = re.compile(r"(?:s3:)?ObjectCreated\b.*")
_EVENT_BRIDGE_CREATED = "Object Created"
_SNS_CONTROL = {"SubscriptionConfirmation", "UnsubscribeConfirmation"}
_ENVELOPES_MAX = 3

Json = Mapping[str, Any]


@dataclass(frozen=True)
class ObjectHint:
    """Something may have been stored in `bucket` under one of `candidate_keys`, or under each of them."""

    bucket: str
    candidate_keys: tuple[str, ...]
    event_name: str


def parse(body: bytes) -> list[ObjectHint]:
    """The objects that a notification says were created; none for deletions, test events and the like.

    Understood are AWS S3, directly, through SNS (enveloped or raw) and through EventBridge, MinIO, Ceph RGW
    and versitygw.

    Raises:
        Undecodable: not JSON, or not of a shape that any of them sends.
    """
    return list(_hints(_json_object(body), _ENVELOPES_MAX))


def _hints(message: Json, envelopes_left: int) -> Iterator[ObjectHint]:
    if message.get("Records"):
        yield from _records(message["Records"])
    elif "EventName" in message:
        yield from _minio(message)
    elif "detail-type" in message:
        yield from _event_bridge(message)
    elif "Type" in message and "TopicArn" in message:
        yield from _sns(message, envelopes_left)
    elif "Records" not in message and "Event" not in message:
        raise Undecodable("a JSON object that is no notification of an object store")


def _records(records: object) -> Iterator[ObjectHint]:
    """AWS S3's own shape, which the other stores follow: `{"Records": [{"eventName", "s3": {...}}]}`.

    One that cannot be read takes the others not along: the notification is undecodable where none of them can be.
    """
    if not isinstance(records, list):
        raise Undecodable("Records is no list")
    problems: list[Undecodable] = []
    for record in records:
        try:
            hint = _record(record)
        except Undecodable as problem:
            problems.append(problem)
            continue
        if hint is not None:
            yield hint
    if len(problems) == len(records):
        raise problems[0]
    for each in problems:
        _log.warning("a record of a notification is passed over: %s", each)


def _record(record: object) -> ObjectHint | None:
    event_name = _text(record, "eventName")
    if not _CREATED.fullmatch(event_name):
        return None
    bucket = _text(record, "s3", "bucket", "name")
    return _hint(bucket, _text(record, "s3", "object", "key"), event_name)


def _minio(message: Json) -> Iterator[ObjectHint]:
    """MinIO's short form: `{"EventName", "Key": "bucket/key"}`."""
    event_name = _text(message, "EventName")
    if _CREATED.fullmatch(event_name):
        bucket, slash, key = _text(message, "Key").partition("/")
        if not slash:
            raise Undecodable("Key names no bucket")
        yield _hint(bucket, key, event_name)


def _event_bridge(message: Json) -> Iterator[ObjectHint]:
    """EventBridge: `{"detail-type": "Object Created", "detail": {"bucket": {"name"}, "object": {"key"}}}`."""
    detail_type = _text(message, "detail-type")
    if detail_type == _EVENT_BRIDGE_CREATED:
        bucket = _text(message, "detail", "bucket", "name")
        yield _hint(bucket, _text(message, "detail", "object", "key"), detail_type)


def _sns(message: Json, envelopes_left: int) -> Iterator[ObjectHint]:
    """SNS: the notification is a string under `Message`."""
    if _text(message, "Type") in _SNS_CONTROL:
        return
    if envelopes_left == 0:
        raise Undecodable("too many envelopes around a notification")
    yield from _hints(_json_object(_text(message, "Message")), envelopes_left - 1)


def _hint(bucket: str, key: str, event_name: str) -> ObjectHint:
    try:
        candidates = dict.fromkeys((unquote_plus(key, errors="strict"), key))
    except UnicodeDecodeError:
        candidates = dict.fromkeys((key,))
    return ObjectHint(bucket, tuple(candidates), event_name)


def _json_object(text: bytes | str) -> Json:
    try:
        message = from_json(text)
    except ValueError as error:
        raise Undecodable(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise Undecodable("not a JSON object")
    return message


def _text(value: object, *path: str) -> str:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise Undecodable(f"no text under {'.'.join(path)}")
    return value
