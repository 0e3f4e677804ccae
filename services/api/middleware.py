"""Around every request: its id, its log line, its metrics, the bound of its body, and the last resort."""

import logging
import time
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.errors import ApiError, error_response
from services.api.rate_limit import rate_limit_headers
from services.api.request_id import HEADER, choose_request_id, set_request_id
from services.runtime import tracing
from services.runtime.logs import log_context
from services.runtime.metrics import HTTP_REQUESTS

_log = logging.getLogger(__name__)

_QUIET_ROUTES = {"/healthz", "/readyz", "/metrics"}
_BOUND_THEMSELVES = {"/api/files"}
"""Bodies of these hold a file, whose limit is another."""
_SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    # An answer is data: should a browser show one as a page, it runs, loads and frames nothing.
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""A page with a policy of its own keeps that."""


class AroundEveryRequest:
    """ASGI middleware; the innermost errors have their shape already, an unexpected one gets it here."""

    def __init__(self, app: ASGIApp, body_bytes_max: int) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = choose_request_id(headers.get(HEADER))
        set_request_id(scope, request_id)  # type: ignore[arg-type]
        carried = tracing.valid(headers.get("traceparent"))
        with log_context(request_id=request_id):
            if scope["path"] in _QUIET_ROUTES or not (tracing.is_on() or carried):
                await self._serve(scope, receive, send, request_id)
                return
            with _server_span(scope, carried) as span, tracing.Current(span.traceparent):
                status = await self._serve(scope, receive, send, request_id)
                _describe(span, scope, status)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        started, status = time.perf_counter(), 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                headers.update(rate_limit_headers(scope))
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            bounded = receive if scope["path"] in _BOUND_THEMSELVES else self._bounded(receive)
            await self._app(scope, bounded, send_marked)
        except Exception:
            _log.exception("unexpected error")
            if status:
                raise
            answer = error_response("internal_error", ApiError("internal_error").detail, request_id)
            await answer(scope, receive, send_marked)
        finally:
            self._record(scope, status, time.perf_counter() - started)
        return status

    def _bounded(self, receive: Receive) -> Receive:
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes_max:
                raise ApiError(
                    "request_too_large",
                    f"The request body has more than {self._body_bytes_max} bytes",
                    {"Connection": "close"},
                )
            return message

        return receive_bounded

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        # A method is the client's text: only known ones may become a label.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        HTTP_REQUESTS.labels(method=method, route=route, status=str(status)).observe(seconds)
        if route not in _QUIET_ROUTES:
            _log.info(
                "request", extra={"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
            )


def _server_span(scope: Scope, carried: str | None) -> tracing.Span:
    """The request's span, below the caller's where it sent its context."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    attributes: dict[str, tracing.AttributeValue] = {"http.request.method": method}
    return tracing.span(method, kind=tracing.Kind.SERVER, parent=carried, attributes=attributes)


def _describe(span: tracing.Span, scope: Scope, status: int) -> None:
    """What is known only when it is over; the path itself holds ids, and is not told."""
    route = getattr(scope.get("route"), "path", "unmatched")
    span.rename(f"{scope['method'] if scope['method'] in _METHODS else 'other'} {route}")
    span.set("http.route", route)
    span.set("http.response.status_code", status)
    if status >= 500:
        span.fail(f"status {status}")


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
