"""The bodies of requests and answers about files, as OpenAPI shows them."""

from typing import Annotated, Literal

from pydantic import Field, StrictInt, StrictStr, StringConstraints

from schemas.base import INTEGER_MAX, Timestamp, WireModel
from services.api.examples import example_config


class UploadRequest(WireModel):
    """The file that is about to be uploaded."""

    model_config = example_config({"filename": "receipt.jpg", "contentType": "image/jpeg", "size": 48213})

    filename: Annotated[StrictStr, StringConstraints(min_length=1, max_length=1024)]
    content_type: Annotated[StrictStr, StringConstraints(min_length=1, max_length=255)]
    size: StrictInt = Field(ge=1, le=INTEGER_MAX, description="Bytes.")


class UploadTicket(WireModel):
    """A presigned upload: send the file to `uploadUrl` with this method and these headers."""

    model_config = example_config(
        {
            "key": "ocr/user_id/5f0c1a9be27d4c38-receipt.jpg",
            "uploadUrl": "https://storage.example.com/bucket-name/ocr/user_id/5f0c1a9be27d4c38-receipt.jpg?X-Amz-...",
            "method": "PUT",
            "headers": {"Content-Type": "image/jpeg", "Content-Length": "48213"},
            "expiresAt": "2023-06-15T10:45:00.000Z",
            "maxBytes": 50000000,
        }
    )

    key: str
    upload_url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str] = Field(description="Signed: a PUT with others is refused by the store.")
    expires_at: Timestamp
    max_bytes: int = Field(description="The largest file that is read.")


class StoredFile(WireModel):
    """A file that lies in the bucket now, and is read by itself; POST its key to wait for the text."""

    model_config = example_config(
        {"key": "ocr/user_id/5f0c1a9be27d4c38-receipt.jpg", "contentType": "image/jpeg", "size": 48213}
    )

    key: str
    content_type: str = Field(description="Judged by the content, whatever was said of it.")
    size: int = Field(description="Bytes.")
