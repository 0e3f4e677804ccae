"""The committed example messages, as tests read them."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from schemas.generate import DOCUMENT_TYPE, EXAMPLES, GENERATED


@dataclass(frozen=True)
class Example:
    """One example: of an event (topic, key, headers) or of a document (bucket, key)."""

    type: str
    name: str
    content: dict[str, Any]

    @property
    def value(self) -> dict[str, Any]:
        """The body."""
        return dict(self.content["value"])

    @property
    def body(self) -> bytes:
        """The body as it travels."""
        return json.dumps(self.value).encode()

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an event."""
        return dict(self.content["headers"])


def _read(path: Path) -> Example:
    return Example(path.parent.name, path.stem, json.loads(path.read_text("utf-8")))


EXAMPLE_MESSAGES = [_read(path) for path in sorted(EXAMPLES.glob("*/*.json"))]
EVENT_EXAMPLES = [example for example in EXAMPLE_MESSAGES if example.type != DOCUMENT_TYPE]
DOCUMENT_EXAMPLES = [example for example in EXAMPLE_MESSAGES if example.type == DOCUMENT_TYPE]


def example_id(example: Example) -> str:
    """The example's name in the output of a test run."""
    return f"{example.type}/{example.name}"


def committed_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a type, as committed."""
    schema: dict[str, Any] = json.loads((GENERATED / f"{name}.schema.json").read_text("utf-8"))
    return schema


def committed_validator(name: str) -> Draft202012Validator:
    """A validator of a type's committed schema that looks at times too."""
    return Draft202012Validator(committed_schema(name), format_checker=_FORMATS)


def _is_time_with_zone(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


_FORMATS = FormatChecker(())
_FORMATS.checks("date-time", ValueError)(_is_time_with_zone)
