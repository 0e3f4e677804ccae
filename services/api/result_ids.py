"""Result ids as they come in a path."""

import uuid
from typing import Annotated

from fastapi import Path

from services.api.errors import ApiError
from services.api.examples import EXAMPLE_ID

ResultIdPath = Annotated[str, Path(alias="id", description="The result's id.", examples=[EXAMPLE_ID])]


def check_result_id(text: str) -> None:
    """Raises `ApiError`, `file_not_found`, for what cannot be an id: it becomes part of an object's key."""
    try:
        canonical = str(uuid.UUID(text)) == text
    except ValueError:
        canonical = False
    if not canonical:
        raise no_such_result()


def no_such_result() -> ApiError:
    """What is answered to an id that was never given, and to another user's."""
    return ApiError("file_not_found", "There is no such result")
