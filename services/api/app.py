"""The web application: routes, errors, middleware. Its parts are made when it starts, not before."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from services.api.docs_page import CONTENT_SECURITY_POLICY, docs_page
from services.api.documentation import openapi_of
from services.api.errors import install_error_handlers
from services.api.middleware import AroundEveryRequest
from services.api.parts import Parts
from services.api.routes import files, layout, ocr, operations, operator, results, tokens, webhooks
from services.api.routes.console import console_router
from services.api.settings import ApiSettings

OpenParts = Callable[[], AbstractAsyncContextManager[Parts]]


def create_app(settings: ApiSettings, open_parts: OpenParts) -> FastAPI:
    """The application; `open_parts` is entered when it starts and left when it has answered its last request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_parts() as parts:
            app.state.parts = parts
            yield

    app = FastAPI(
        title="OCR Services API",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        # The framework's own page loads its scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    for subject in (ocr, results, layout, files, tokens, webhooks, operator, operations):
        app.include_router(subject.router)
    app.include_router(console_router())
    install_error_handlers(app, settings.retry_after_seconds)
    app.add_middleware(AroundEveryRequest, body_bytes_max=settings.body_bytes_max)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi_of(app)
        return app.openapi_schema

    async def docs(_request: Request) -> Response:
        policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return HTMLResponse(docs_page(openapi()), headers=policy)

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_route("/docs", docs, include_in_schema=False)
    return app
