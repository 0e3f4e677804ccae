"""`/api/operator`: how the installation does, for those who run it."""

from fastapi import APIRouter
from starlette.responses import Response

from services.api.documentation import COMMON, errors
from services.api.overview import Overview
from services.api.parts import OperatingCaller, UsedParts
from services.api.responses import json_response

router = APIRouter(prefix="/api/operator", tags=["Operations"])


@router.get("/overview", response_model=Overview, responses=errors(*COMMON))
async def get_overview(_caller: OperatingCaller, parts: UsedParts) -> Response:
    """Lag by topic and partition, throughput, failures and dead letters, of all users. Needs the scope `operate`."""
    return json_response(await parts.overview())
