"""Models as answers."""

from collections.abc import Mapping

from starlette.responses import Response

from schemas.base import WireModel


def json_response(body: WireModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A model as an answer, serialised once."""
    return Response(body.to_json(), status, headers, "application/json")
