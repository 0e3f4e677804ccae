"""`/api/files`: where files come in."""

from typing import Annotated

from fastapi import APIRouter, Body
from starlette.responses import Response

from services.api.documentation import COMMON, errors
from services.api.models import UploadRequest, UploadTicket
from services.api.parts import ProcessingCaller, UsedParts
from services.api.responses import json_response

router = APIRouter(prefix="/api/files", tags=["Files"])


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
