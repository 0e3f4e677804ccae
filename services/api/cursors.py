"""Cursors: where a list goes on, as text that means nothing to whoever carries it."""

import base64
import binascii
import json
from typing import Any

from services.api.errors import ApiError

CURSOR_CHARACTERS_MAX = 512


def encode_cursor(*place: str | int) -> str:
    """The cursor of a place in a list: URL-safe, without padding."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode()


def decode_cursor(text: str, *kinds: type) -> list[Any]:
    """The place that a cursor names: values of these very types.

    Raises:
        ApiError: `invalid_request`: it is none of ours.
    """
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        place = json.loads(decoded)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise invalid_cursor() from error
    if not isinstance(place, list) or [type(value) for value in place] != list(kinds):
        raise invalid_cursor()
    return place


def invalid_cursor() -> ApiError:
    """What is answered to a cursor that no list of ours gave."""
    return ApiError("invalid_request", "cursor: not one that this list gave; start without a cursor")
