"""How a result is deleted: for good, and whatever else happens to it at the same time."""

from datetime import datetime

from services.api.answers import error_without_document
from services.api.parts import Results


async def delete_result(
    results: Results, user_id: str, result_id: str, now: datetime, retry_after_seconds: int
) -> None:
    """Returns when text and layout are gone; a result that is deleted already stays so.

    Raises:
        ApiError: `file_not_found`: there is no such result, or none yet.
        TransientError: a dependency is down; the same again goes on where this ended.
    """
    # 1. The tombstone takes the document's place, by its etag. From here on nobody reads the object again: whoever
    #    is asked for it finds a document, and whoever is its author publishes the charge alone.
    tombstone = await results.bury(user_id, result_id, now)
    if tombstone is None:
        raise error_without_document(await results.listed(result_id), user_id, retry_after_seconds)
    # 2. The list says so; an event of the result that it hears of later changes nothing. After a crash between 1
    #    and 2 the client has no answer and asks again.
    await results.list_deleted(tombstone)
