"""Who is who: object keys, result ids, document keys.

One stored content of one key has one id, whoever asks for it and however often.
"""

import re
import uuid
from dataclasses import dataclass

RESULT_NAMESPACE = uuid.UUID("6f2c3c0e-5d0b-5b5e-9a53-7f1d1d0a3c55")
"""Fixed for ever: another namespace would give every stored object another id, and charge for it again."""

KEY_BYTES_MAX = 1024
"""The longest object key S3 accepts, in UTF-8 bytes."""

_USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
_PREFIX = "ocr/"


class InvalidKey(ValueError):
    """A key that is not of the form `ocr/<user_id>/<filename.ext>`."""


@dataclass(frozen=True)
class ObjectKey:
    """The parts of `ocr/<user_id>/<filename.ext>`."""

    user_id: str
    filename: str

    def __str__(self) -> str:
        return f"{_PREFIX}{self.user_id}/{self.filename}"


def is_user_id(text: str) -> bool:
    """Whether `text` can be a user id: it is one segment of an object key and names no folder."""
    return _USER_ID.fullmatch(text) is not None and ".." not in text


def parse_key(key: str) -> ObjectKey:
    """Split an object key into user id and file name; the name has an extension, which is not judged.

    Raises:
        InvalidKey: any other form, dot segments, control characters, more than `KEY_BYTES_MAX` bytes.
    """
    parts = key.split("/")
    if len(parts) != 3 or parts[0] != "ocr" or not is_user_id(parts[1]) or not _is_filename(parts[2]):
        raise InvalidKey("Invalid file key format")
    if len(key.encode("utf-8", "surrogatepass")) > KEY_BYTES_MAX:
        raise InvalidKey("Invalid file key format")
    return ObjectKey(parts[1], parts[2])


def _is_filename(name: str) -> bool:
    stem, dot, extension = name.rpartition(".")
    if not (stem and dot and extension) or ".." in name or "\\" in name:
        return False
    # A percent sign would make one key mean two objects: one raw, one decoded.
    if re.search(r"%2[eEfF]|%5[cC]|%00", name):
        return False
    return not any(
        ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 or 0xD800 <= ord(letter) < 0xE000 for letter in name
    )


def plain_etag(etag: str) -> str:
    """The etag without the quotes that some stores and notifications put around it."""
    return etag.strip().removeprefix("W/").strip('"')


def result_id(bucket: str, key: str, etag: str) -> str:
    """The id of the result of one stored content of one key: UUIDv5 of `bucket/key@etag`."""
    return str(uuid.uuid5(RESULT_NAMESPACE, f"{bucket}/{key}@{plain_etag(etag)}"))


def document_prefix(user_id: str) -> str:
    """Where a user's documents lie in the results bucket."""
    return f"{_PREFIX}{user_id}/"


def document_key(user_id: str, identity: str) -> str:
    """The object key, in the results bucket, of the document of a result id."""
    return f"{document_prefix(user_id)}{identity}.json"
