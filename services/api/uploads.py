"""Presigned uploads: a URL that takes one file, of this type and this size, under a name of ours."""

import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from schemas.identity import ObjectKey
from services.api.errors import ApiError
from services.api.file_models import UploadRequest, UploadTicket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NAME_CHARACTERS_MAX = 100
_RANDOM_BYTES = 8

# Types that a browser would run when somebody opens the file's public URL are not among them (HTML, SVG). What is
# in the file is judged later, by its content.
_EXTENSIONS: Mapping[str, str] = {
    "image/jpeg": "jpg",
    "image/jpg": "jpg",  # no registered type, and yet what many a client sends
    "image/png": "png",
    "image/webp": "webp",
    "image/tiff": "tiff",
    "image/bmp": "bmp",
    "image/x-ms-bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/heif": "heif",
    "application/pdf": "pdf",
    "application/octet-stream": "bin",
}


def object_key(user_id: str, filename: str, content_type: str, random_part: str) -> ObjectKey:
    """A key of this user's, never used before, that still tells the file's name."""
    return ObjectKey(user_id, f"{random_part}-{sanitised_filename(filename, _EXTENSIONS[content_type])}")


def sanitised_filename(filename: str, default_extension: str) -> str:
    """The last segment of a path in ASCII letters, digits, `.`, `_` and `-`, with an extension.

    A name that nothing is left of becomes `file`. Store, notification and URL then agree on how it is written.
    """
    last = re.split(r"[/\\]", filename)[-1]
    ascii_only = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._\-]+", "-", ascii_only)
    stem, dot, extension = re.sub(r"\.{2,}", ".", plain).rpartition(".")
    if not dot:
        stem, extension = extension, ""
    extension = re.sub(r"[^A-Za-z0-9]", "", extension)[:10] or default_extension
    stem = re.sub(r"-{2,}", "-", stem).strip("-._")[: _NAME_CHARACTERS_MAX - len(extension)] or "file"
    return f"{stem}.{extension}"


SignPut = Callable[[str, str, int], str]
"""From key, type and size in bytes to a URL that takes a PUT of just that."""


def put_signer(client: "S3Client", bucket: str, seconds: int) -> SignPut:
    """Signs with V4. Asks nobody, so that it costs no round trip."""

    def sign(key: str, content_type: str, size_bytes: int) -> str:
        return client.generate_presigned_url(
            "put_object",
            # What is named here is signed: the store refuses a PUT that says something else.
            Params={"Bucket": bucket, "Key": key, "ContentType": content_type, "ContentLength": size_bytes},
            ExpiresIn=seconds,
            HttpMethod="PUT",
        )

    return sign


class Uploads:
    """Hands out presigned uploads."""

    def __init__(
        self,
        sign: SignPut,
        *,
        bytes_max: int,
        presign_seconds: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random_part: Callable[[], str] = lambda: secrets.token_hex(_RANDOM_BYTES),
    ) -> None:
        self._sign = sign
        self._bytes_max = bytes_max
        self._presign_seconds = presign_seconds
        self._now = now
        self._random_part = random_part

    def ticket(self, user_id: str, request: UploadRequest) -> UploadTicket:
        """A presigned PUT.

        Raises:
            ApiError: `unsupported_media_type`, `file_too_large`.
        """
        content_type = request.content_type.strip().lower()
        if content_type not in _EXTENSIONS:
            known = ", ".join(sorted(_EXTENSIONS))
            raise ApiError("unsupported_media_type", f"contentType must be one of {known}")
        if request.size > self._bytes_max:
            raise ApiError("file_too_large", f"The file has {request.size} bytes, at most {self._bytes_max} are read")
        key = str(object_key(user_id, request.filename, content_type, self._random_part()))
        return UploadTicket(
            key=key,
            upload_url=self._sign(key, content_type, request.size),
            headers={"Content-Type": content_type, "Content-Length": str(request.size)},
            expires_at=self._now() + timedelta(seconds=self._presign_seconds),
            max_bytes=self._bytes_max,
        )
