"""`/api/ocr`: process a file, ask for a result."""

import re
import uuid
from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Request
from starlette.responses import Response

from services.api.answers import state_of_document, state_of_row
from services.api.documentation import COMMON, accepted, errors
from services.api.errors import ApiError
from services.api.models import (
    EXAMPLE_ID,
    AcceptedResult,
    CompletedResult,
    OcrResult,
    ProcessRequest,
    UnfinishedResult,
)
from services.api.parts import ProcessingCaller, ReadingCaller, UsedParts
from services.api.prefer import parse_prefer
from services.api.processing import result_location
from services.api.responses import json_response

router = APIRouter(prefix="/api/ocr", tags=["OCR"])

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

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
    answer = await parts.processor.process(caller.user_id, body.key, preference, _traceparent(request))
    if isinstance(answer, OcrResult):
        return json_response(answer)
    headers = {
        "Location": result_location(answer.id),
        "Retry-After": str(parts.processor.settings.retry_after_seconds),
        "Preference-Applied": preference.applied(),
    }
    return json_response(answer, 202, headers)


@router.get(
    "/results/{id}",
    response_model=CompletedResult | UnfinishedResult,
    responses={
        200: {"description": "The result, or how far it is: `pending`, `failed`, `refused` or `deleted`."},
        **errors(*COMMON, "file_not_found"),
    },
)
async def get_result(
    caller: ReadingCaller,
    parts: UsedParts,
    result_id: Annotated[str, Path(alias="id", description="The result's id.", examples=[EXAMPLE_ID])],
) -> Response:
    """Ask for a result by its id. Any replica answers; another user's result is not found."""
    if not _is_result_id(result_id):
        raise _no_such_result()
    document = await parts.results.document(caller.user_id, result_id)
    if document is not None:
        return json_response(state_of_document(document))
    row = await parts.results.listed(result_id)
    if row is None or row.user_id != caller.user_id:
        raise _no_such_result()
    state = state_of_row(row)
    if state is None:
        # The list knows it as completed, but its document came after the look, or was removed.
        document = await parts.results.document(caller.user_id, result_id)
        if document is None:
            raise _no_such_result()
        return json_response(state_of_document(document))
    return json_response(state)


def _no_such_result() -> ApiError:
    return ApiError("file_not_found", "There is no such result")


def _is_result_id(text: str) -> bool:
    # It becomes part of an object's key: nothing but the canonical form of a UUID may.
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _traceparent(request: Request) -> str | None:
    sent = request.headers.get("traceparent")
    return sent if sent and _TRACEPARENT.fullmatch(sent) else None
