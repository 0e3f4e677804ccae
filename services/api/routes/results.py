"""`/api/ocr/results`: the list of results, and one of them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from schemas.identity import InvalidKey, parse_key
from services.api.answers import item_of_row, state_of_document, state_of_row
from services.api.deleting import delete_result
from services.api.documentation import COMMON, errors
from services.api.errors import ApiError
from services.api.examples import EXAMPLE_KEY
from services.api.listing import ListQuery, place_of_cursor
from services.api.models import CompletedResult, ResultList, UnfinishedResult
from services.api.paging import LIMIT_DEFAULT, Cursor, Limit
from services.api.parts import ProcessingCaller, ReadingCaller, UsedParts
from services.api.responses import json_response
from services.api.result_ids import ResultIdPath, check_result_id, no_such_result
from services.api.results import ResultStatus

router = APIRouter(prefix="/api/ocr/results", tags=["Results"])


@router.get(
    "",
    response_model=ResultList,
    responses={
        200: {"description": "A page of results. Texts are not in it: ask for each result by its id."},
        **errors(*COMMON, "invalid_key"),
    },
)
async def list_results(
    caller: ReadingCaller,
    parts: UsedParts,
    cursor: Cursor = None,
    limit: Limit = LIMIT_DEFAULT,
    key: Annotated[str | None, Query(description="Only results of this file.", examples=[EXAMPLE_KEY])] = None,
    status: Annotated[ResultStatus | None, Query(description="Only results that stand there.")] = None,
) -> Response:
    """List your results, newest first."""
    if key is not None:
        _check_key(key)
    after = None if cursor is None else place_of_cursor(cursor)
    page = await parts.results.list(ListQuery(caller.user_id, limit, after, key, status))
    return json_response(ResultList(results=tuple(map(item_of_row, page.results)), next_cursor=page.next_cursor))


@router.get(
    "/{id}",
    response_model=CompletedResult | UnfinishedResult,
    responses={
        200: {"description": "The result, or how far it is: `pending`, `failed`, `refused` or `deleted`."},
        **errors(*COMMON, "file_not_found"),
    },
)
async def get_result(
    caller: ReadingCaller,
    parts: UsedParts,
    result_id: ResultIdPath,
) -> Response:
    """Ask for a result by its id. Any replica answers; another user's result is not found."""
    check_result_id(result_id)
    document = await parts.results.document(caller.user_id, result_id)
    if document is not None:
        return json_response(state_of_document(document))
    row = await parts.results.listed(result_id)
    if row is None or row.user_id != caller.user_id:
        raise no_such_result()
    state = state_of_row(row)
    if state is None:
        # The list knows it as completed, but its document came after the look, or was removed.
        document = await parts.results.document(caller.user_id, result_id)
        if document is None:
            raise no_such_result()
        return json_response(state_of_document(document))
    return json_response(state)


@router.delete(
    "/{id}",
    status_code=204,
    response_class=Response,
    responses={
        204: {"description": "Text and layout are gone. The charge stays, and the same content is not read again."},
        **errors(*COMMON, "file_not_found"),
    },
)
async def delete(caller: ProcessingCaller, parts: UsedParts, result_id: ResultIdPath) -> Response:
    """Delete a result for good. Again is the same; the uploaded file stays where it is."""
    check_result_id(result_id)
    retry_after_seconds = parts.processor.settings.retry_after_seconds
    await delete_result(parts.results, caller.user_id, result_id, datetime.now(UTC), retry_after_seconds)
    return Response(status_code=204)


def _check_key(key: str) -> None:
    try:
        parse_key(key)
    except InvalidKey as error:
        raise ApiError("invalid_key") from error
