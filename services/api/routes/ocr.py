"""`/api/ocr/process`: read a file and wait for its text."""

from typing import Annotated

from fastapi import APIRouter, Body, Header, Request
from starlette.responses import Response

from services.api.documentation import COMMON, accepted, errors
from services.api.models import AcceptedResult, OcrResult, ProcessRequest
from services.api.parts import ProcessingCaller, UsedParts
from services.api.prefer import parse_prefer
from services.api.processing import result_location
from services.api.responses import json_response
from services.runtime import tracing

router = APIRouter(prefix="/api/ocr", tags=["OCR"])

_PROCESS_ERRORS = (
    *COMMON,
    "invalid_key",
    "insufficient_tokens",
    "file_not_found",
    "object_changed",
    "result_deleted",
    "file_too_large",
    "request_too_large",
    "unsupported_media_type",
    "unreadable_document",
    "overloaded",
    "timed_out",
)


@router.post(
    "/process",
    response_model=OcrResult,
    responses={
        200: {"description": "The text. Asked again for the same file: the same answer, without another charge."},
        202: {
            "model": AcceptedResult,
            "description": "Only for those who sent `Prefer`: the request is acknowledged and will be worked on.",
            "headers": accepted(),
        },
        **errors(*_PROCESS_ERRORS),
    },
)
async def process(
    request: Request,
    caller: ProcessingCaller,
    parts: UsedParts,
    body: Annotated[ProcessRequest, Body()],
    prefer: Annotated[
        list[str] | None,
        Header(
            description="`respond-async`: do not wait. `wait=N`: wait at most N seconds. Either makes a 202 possible.",
            examples=[["respond-async"], ["wait=10"]],
        ),
    ] = None,
) -> Response:
    """Extract the text of an uploaded file, and wait for it."""
    preference = parse_prefer(prefer or ())
    answer = await parts.processor.process(
        caller.user_id, body.key, preference, tracing.current(), lambda: _hung_up(request)
    )
    if isinstance(answer, OcrResult):
        return json_response(answer)
    settings = parts.processor.settings
    headers = {
        "Location": result_location(answer.id),
        "Retry-After": str(settings.retry_after_seconds),
        "Preference-Applied": preference.applied(settings.wait_seconds_max),
    }
    return json_response(answer, 202, headers)


async def _hung_up(request: Request) -> None:
    """Returns when the client closes its connection."""
    # The body was read: what may still come is the end.
    while (await request.receive())["type"] != "http.disconnect":
        pass
