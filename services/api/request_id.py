"""The id of a request: the client's own where it sends a sane one, else fresh."""

import re
import uuid
from typing import Any

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_STATE_KEY = "request_id"


def choose_request_id(sent: str | None) -> str:
    """The id that was sent, unless it could do harm in a log or a header; then a random one."""
    return sent if sent is not None and _SANE.fullmatch(sent) else str(uuid.uuid4())


def set_request_id(scope: dict[str, Any], request_id: str) -> None:
    """Keeps the id with the request."""
    scope.setdefault("state", {})[_STATE_KEY] = request_id


def request_id_of(scope: Any) -> str:
    """The id of this request."""
    return str(scope.get("state", {}).get(_STATE_KEY, ""))
