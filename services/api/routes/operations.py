"""Liveness, readiness, metrics."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from services.api.documentation import errors
from services.api.errors import error_response
from services.api.models import Health
from services.api.parts import UsedParts
from services.api.request_id import request_id_of
from services.api.responses import json_response

router = APIRouter(tags=["Operations"])


@router.get("/healthz", response_model=Health, responses=errors("unavailable"))
async def healthz(request: Request, parts: UsedParts) -> Response:
    """Whether the process lives; if not, start it anew."""
    return _health(request, parts.live())


@router.get("/readyz", response_model=Health, responses=errors("unavailable"))
async def readyz(request: Request, parts: UsedParts) -> Response:
    """Whether it can answer POSTs."""
    return _health(request, await parts.ready())


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
)
async def metrics() -> Response:
    """Metrics for Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _health(request: Request, problem: str | None) -> Response:
    if problem is None:
        return json_response(Health())
    return error_response("unavailable", problem, request_id_of(request.scope), {"Retry-After": "1"})
