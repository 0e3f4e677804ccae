"""What every list is asked with: a cursor and a limit."""

from typing import Annotated

from fastapi import Query

from services.api.cursors import CURSOR_CHARACTERS_MAX

LIMIT_DEFAULT = 20
_LIMIT_MAX = 100

Cursor = Annotated[
    str | None,
    Query(max_length=CURSOR_CHARACTERS_MAX, description="`nextCursor` of the page before; none for the first."),
]
Limit = Annotated[int, Query(ge=1, le=_LIMIT_MAX, description="How many a page has at most.")]
