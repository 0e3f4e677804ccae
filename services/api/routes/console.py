"""`/`: the console, a page of static files that calls the same API as everybody else."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api.console_files import INDEX, ConsoleFile, load_console_files
from services.api.errors import ApiError
from services.api.parts import UsedParts

_METHODS = ["GET", "HEAD"]


def console_router() -> APIRouter:
    """The routes of the console; its files are read once, now."""
    files = load_console_files()
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=_METHODS)
    async def page(request: Request, parts: UsedParts) -> Response:
        """The page itself, with the policy that its browser has to hold it to."""
        return _answer(request, files[INDEX], {"Content-Security-Policy": parts.console_policy})

    @router.api_route("/console/{name}", methods=_METHODS)
    async def file(request: Request, name: str) -> Response:
        """One of the page's files."""
        if name not in files:
            raise ApiError("not_found")
        return _answer(request, files[name])

    return router


def _answer(request: Request, file: ConsoleFile, headers: Mapping[str, str] | None = None) -> Response:
    # A new release is seen at once, and costs no transfer while there is none.
    sent = {"ETag": file.etag, "Cache-Control": "no-cache", **(headers or {})}
    if file.etag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=sent)
    return Response(file.body, headers=sent, media_type=file.content_type)
