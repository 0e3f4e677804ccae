"""`/api/webhooks`: who is told of your results, and how that went."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from services.api.documentation import COMMON, errors
from services.api.paging import LIMIT_DEFAULT, Limit
from services.api.parts import UsedParts, WebhookCaller
from services.api.responses import json_response
from services.api.webhook_models import (
    EXAMPLE_DELIVERY_ID,
    EXAMPLE_WEBHOOK_ID,
    Delivery,
    DeliveryList,
    DeliveryStatus,
    NewSecret,
    NewWebhook,
    RegisteredWebhook,
    WebhookList,
    WebhookRequest,
)
from services.webhook_registry.log import LoggedDelivery
from services.webhook_registry.registry import Webhook

router = APIRouter(prefix="/api/webhooks", tags=["Webhooks"])

_ID_CHARACTERS_MAX = 36
WebhookId = Annotated[
    str, Path(alias="id", max_length=_ID_CHARACTERS_MAX, description="The webhook's id.", examples=[EXAMPLE_WEBHOOK_ID])
]
DeliveryId = Annotated[
    str,
    Path(
        alias="delivery",
        max_length=_ID_CHARACTERS_MAX,
        description="The delivery's id.",
        examples=[EXAMPLE_DELIVERY_ID],
    ),
]


@router.post(
    "",
    status_code=201,
    response_model=NewWebhook,
    responses={
        201: {"description": "Registered: keep the secret. Results from now on are told."},
        **errors(*COMMON, "invalid_webhook", "request_too_large", "overloaded"),
    },
)
async def add(caller: WebhookCaller, parts: UsedParts, body: Annotated[WebhookRequest, Body()]) -> Response:
    """Register an address that is told of your results."""
    made = await parts.webhooks.add(caller.user_id, body.url, body.event_types)
    return json_response(NewWebhook(**_shown(made).model_dump(), secret=made.secret), 201)


@router.get(
    "", response_model=WebhookList, responses={200: {"description": "All of them, without secrets."}, **errors(*COMMON)}
)
async def list_webhooks(caller: WebhookCaller, parts: UsedParts) -> Response:
    """List your webhooks."""
    return json_response(WebhookList(webhooks=tuple(map(_shown, await parts.webhooks.list(caller.user_id)))))


@router.delete(
    "/{id}",
    status_code=204,
    response_class=Response,
    responses={
        204: {"description": "It is told nothing more, not even what was pending."},
        **errors(*COMMON, "webhook_not_found"),
    },
)
async def remove(caller: WebhookCaller, parts: UsedParts, webhook_id: WebhookId) -> Response:
    """End a webhook; its log stays for a while."""
    await parts.webhooks.remove(caller.user_id, webhook_id)
    return Response(status_code=204)


@router.post(
    "/{id}/secret",
    response_model=NewSecret,
    responses={
        200: {"description": "The new secret. The one before signs beside it for a while."},
        **errors(*COMMON, "webhook_not_found"),
    },
)
async def rotate(caller: WebhookCaller, parts: UsedParts, webhook_id: WebhookId) -> Response:
    """Replace the secret that signs the deliveries of a webhook."""
    secret, until = await parts.webhooks.rotate(caller.user_id, webhook_id)
    return json_response(NewSecret(secret=secret, previous_secret_until=until))


@router.get(
    "/{id}/deliveries",
    response_model=DeliveryList,
    responses={200: {"description": "The newest first."}, **errors(*COMMON, "webhook_not_found")},
)
async def list_deliveries(
    caller: WebhookCaller,
    parts: UsedParts,
    webhook_id: WebhookId,
    status: Annotated[DeliveryStatus | None, Query(description="Only those that stand there.")] = None,
    limit: Limit = LIMIT_DEFAULT,
) -> Response:
    """See how deliveries of a webhook went."""
    found = await parts.webhooks.deliveries(caller.user_id, webhook_id, status, limit)
    return json_response(DeliveryList(deliveries=tuple(map(_line, found))))


@router.post(
    "/{id}/deliveries/{delivery}/resend",
    status_code=202,
    response_class=Response,
    responses={
        202: {"description": "It is due again, under its old id, and with as many attempts as a new one."},
        **errors(*COMMON, "webhook_not_found", "result_deleted"),
    },
)
async def resend(caller: WebhookCaller, parts: UsedParts, webhook_id: WebhookId, delivery_id: DeliveryId) -> Response:
    """Send a delivery again. One that is pending stays so."""
    await parts.webhooks.send_again(caller.user_id, webhook_id, delivery_id)
    return Response(status_code=202)


def _shown(webhook: Webhook) -> RegisteredWebhook:
    return RegisteredWebhook.model_validate(
        {
            "id": webhook.id,
            "url": webhook.url,
            "event_types": sorted(webhook.event_types),
            "created_at": webhook.created_at,
        }
    )


def _line(logged: LoggedDelivery) -> Delivery:
    return Delivery.model_validate(
        {
            "id": logged.id,
            "event_type": logged.event_type,
            "result_id": logged.result_id,
            "status": logged.status,
            "attempts": logged.attempts,
            "created_at": logged.created_at,
            "next_attempt_at": logged.next_attempt_at if logged.status == "pending" else None,
            "last_attempt_at": logged.last and logged.last.started_at,
            "last_status": logged.last and logged.last.status_code,
            "last_error": logged.last and logged.last.error,
        }
    )
