"""What every model on the wire has in common."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer
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


Timestamp = Annotated[AwareDatetime, PlainSerializer(format_time, return_type=str, when_used="json")]
"""A moment with a zone; ISO 8601 in UTC on the wire. A time without a zone is refused."""
