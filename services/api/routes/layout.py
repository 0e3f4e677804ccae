"""`/api/ocr/results/{id}/layout`: words, boxes and confidences, in the format of your choice."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.api.answers import completed_or_error, error_without_document
from services.api.documentation import COMMON, errors
from services.api.layout.formats import RENDERINGS, LayoutFormat
from services.api.layout.models import Layout
from services.api.parts import ReadingCaller, UsedParts
from services.api.result_ids import ResultIdPath, check_result_id

router = APIRouter(prefix="/api/ocr/results", tags=["Results"])

_CONTENT = {
    rendering.media_type.partition(";")[0]: {"schema": {"type": "string"}}
    for chosen, rendering in RENDERINGS.items()
    if chosen is not LayoutFormat.JSON
}


@router.get(
    "/{id}/layout",
    response_model=Layout,
    responses={
        200: {"description": "The layout in the format that was asked for.", "content": _CONTENT},
        **errors(*COMMON, "file_not_found", "result_deleted", "file_too_large", "unsupported_media_type"),
        **errors("unreadable_document"),
    },
)
async def get_layout(
    caller: ReadingCaller,
    parts: UsedParts,
    result_id: ResultIdPath,
    chosen: Annotated[LayoutFormat, Query(alias="format", description="What to write it in.")] = LayoutFormat.JSON,
) -> Response:
    """Get every word of a completed result, how sure the recogniser is of it, and where it stands."""
    check_result_id(result_id)
    document = await parts.results.document(caller.user_id, result_id)
    if document is None:
        row = await parts.results.listed(result_id)
        raise error_without_document(row, caller.user_id, parts.processor.settings.retry_after_seconds)
    completed = completed_or_error(document)
    rendering = RENDERINGS[chosen]
    # A book of 200 pages takes a second to write: the event loop has others to serve.
    body = await asyncio.to_thread(rendering.render, completed)
    headers = {"Content-Disposition": f'inline; filename="{result_id}.{rendering.extension}"'}
    return Response(body, 200, headers, rendering.media_type)
