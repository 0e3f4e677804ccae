"""`/api/files`: where files come in."""

from typing import Annotated

from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from services.api.documentation import COMMON, errors
from services.api.file_models import StoredFile, UploadRequest, UploadTicket
from services.api.multipart import FIELD
from services.api.parts import ProcessingCaller, UsedParts
from services.api.responses import json_response

router = APIRouter(prefix="/api/files", tags=["Files"])


_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {"type": "string", "format": "binary", "description": "An image or a PDF, with its name."}
                },
            }
        }
    },
}


@router.post(
    "",
    status_code=201,
    response_model=StoredFile,
    openapi_extra={"requestBody": _FORM},
    responses={
        201: {"description": "The file is stored; it is read by itself, or POST its `key` to wait for the text."},
        **errors(*COMMON, "file_too_large", "unsupported_media_type", "overloaded"),
    },
)
async def store_file(request: Request, caller: ProcessingCaller, parts: UsedParts) -> Response:
    """Upload a file through the API, for clients that cannot PUT to the bucket. A presigned upload is faster."""
    headers = request.headers
    length = headers.get("content-length", "")
    stored = await parts.storer.store(
        caller.user_id, request.stream(), headers.get("content-type"), int(length) if length.isdecimal() else None
    )
    return json_response(stored, 201)


@router.post(
    "/upload",
    status_code=201,
    response_model=UploadTicket,
    responses={
        201: {"description": "Where and how to PUT the file; then process its `key`."},
        **errors(*COMMON, "file_too_large", "request_too_large", "unsupported_media_type"),
    },
)
async def create_upload(caller: ProcessingCaller, parts: UsedParts, body: Annotated[UploadRequest, Body()]) -> Response:
    """Get a presigned URL for one file of this type and size."""
    return json_response(parts.uploads.ticket(caller.user_id, body), 201)
