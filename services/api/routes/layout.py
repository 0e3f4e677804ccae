"""`/api/ocr/results/{id}/layout`: words, boxes and confidences, in the format of your choice."""

import asyncio
import os
from collections.abc import Iterator
from typing import IO, Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from services.api.answers import completed_or_error, error_without_document
from services.api.documentation import COMMON, errors
from services.api.layout.formats import RENDERINGS, LayoutFormat
from services.api.layout.models import Layout
from services.api.parts import ReadingCaller, UsedParts
from services.api.result_ids import ResultIdPath, check_result_id

router = APIRouter(prefix="/api/ocr/results", tags=["Results"])

_CHUNK_BYTES = 1 << 18
_PDF = "application/pdf"
_CONTENT = {_PDF: {"schema": {"type": "string", "format": "binary"}}} | {
    rendering.media_type.partition(";")[0]: {"schema": {"type": "string"}}
    for chosen, rendering in RENDERINGS.items()
    if chosen is not LayoutFormat.JSON
}


_ERRORS = (
    "file_not_found",
    "object_changed",
    "result_deleted",
    "file_too_large",
    "unsupported_media_type",
    "unreadable_document",
    "overloaded",
)


@router.get(
    "/{id}/layout",
    response_model=Layout,
    responses={
        200: {"description": "The layout in the format that was asked for.", "content": _CONTENT},
        **errors(*COMMON, *_ERRORS),
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
    if chosen is LayoutFormat.PDF:
        return _streamed(await parts.pdfs.make(completed), result_id)
    rendering = RENDERINGS[chosen]
    # A book of 200 pages takes a second to write: the event loop has others to serve.
    body = await asyncio.to_thread(rendering.render, completed)
    headers = {"Content-Disposition": f'inline; filename="{result_id}.{rendering.extension}"'}
    return Response(body, 200, headers, rendering.media_type)


def _streamed(file: IO[bytes], result_id: str) -> Response:
    headers = {
        "Content-Disposition": f'inline; filename="{result_id}.pdf"',
        "Content-Length": str(os.fstat(file.fileno()).st_size),
    }
    return StreamingResponse(_chunks(file), 200, headers, _PDF)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
