"""What every model on the wire has in common."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)
from pydantic.alias_generators import to_camel


class WireModel(BaseModel):
    """camelCase JSON, immutable; unknown fields are ignored so that a minor version may add some."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="ignore")

    def to_json(self) -> bytes:
        """This model as it travels: UTF-8 JSON with the wire's names."""
        return self.model_dump_json(by_alias=True).encode()


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and a `Z`: `2026-06-15T10:30:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


INTEGER_MAX = 2**53 - 1
"""The largest integer that every JSON parser reads exactly; it fits a 64-bit column of SQL with room to add."""

Count = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
"""A whole number from zero."""
Ordinal = Annotated[int, Field(ge=1, le=INTEGER_MAX)]
"""A whole number from one."""
Tokens = Annotated[int, Field(ge=-INTEGER_MAX, le=INTEGER_MAX)]
"""A balance or one side of a posting: whole tokens, of either sign."""

# What becomes part of an object's path, of a header or of a row is held to its form here, so that no event can
# name another user's document, and none is found unstorable only when it is half processed.
_USER_ID = r"[A-Za-z0-9](?:\.?[A-Za-z0-9_\-])*\.?"
UserId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=f"^{_USER_ID}$")]
"""One segment of an object key; names no folder."""
ResultId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$")]
"""As `schemas.identity.result_id` makes it."""
BucketName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]*$")]
KeyText = Annotated[str, StringConstraints(max_length=1024, pattern=rf"^ocr/{_USER_ID}/[^/\x00-\x1f\x7f]+$")]
"""`ocr/<user_id>/<filename.ext>`, raw: neither form-encoded nor percent-encoded."""
Etag = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!#-~]+$")]
"""Without the quotes."""


def _parse_time(value: object) -> object:
    """Text on the wire as a time, in UTC; pydantic would take 12, and even the text `12`, for a moment in 1970.

    Raises:
        ValueError: no time, one without a zone, or one that UTC cannot express.
    """
    if isinstance(value, datetime):
        return value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    if moment is None or moment.tzinfo is None:
        raise ValueError("not an ISO 8601 time with a zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time beyond the calendar") from error


Timestamp = Annotated[
    AwareDatetime,
    BeforeValidator(_parse_time),
    PlainSerializer(format_time, return_type=str, when_used="json"),
]
"""A moment with a zone; ISO 8601 in UTC on the wire. A time without a zone is refused."""
