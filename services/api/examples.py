"""What the examples of OpenAPI are about: one file of one user, and its result."""

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

EXAMPLE_ID = "0b5f2c1e-7f0a-5a53-9c39-5d2f7a6f3c11"
EXAMPLE_KEY = "ocr/user_id/filename.jpg"
EXAMPLE_RESULT: JsonDict = {
    "id": EXAMPLE_ID,
    "text": "Extracted text from the image",
    "key": EXAMPLE_KEY,
    "fileUrl": "https://storage.example.com/bucket-name/ocr/user_id/filename.jpg",
    "createdAt": "2023-06-15T10:30:00.000Z",
    "wordCount": 150,
    "tokensUsed": 200,
    "language": "en",
}


def example_config(*examples: JsonDict) -> ConfigDict:
    """Examples for OpenAPI, without nulls: the framework drops them from its document."""
    return ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        frozen=True,
        extra="ignore",
        json_schema_extra={"examples": list(examples)},
    )
