"""The bodies of requests and answers about webhooks, as OpenAPI shows them."""

from typing import Annotated, Literal

from pydantic import Field, StrictStr, StringConstraints

from schemas.base import Timestamp, WireModel
from services.api.examples import EXAMPLE_ID, example_config

EventType = Literal["result.completed", "result.failed", "result.refused"]
DeliveryStatus = Literal["pending", "delivered", "failed", "removed"]

EXAMPLE_WEBHOOK_ID = "6f0d7f5e-2d55-4a3c-9d5e-0b1c7d8f4a21"
EXAMPLE_DELIVERY_ID = "c0a6c9b4-6f0b-5a5e-8a4f-2f7d1c3b9e10"
_EXAMPLE_SECRET = "whsec_3kRk0f3J8n0m0T7d6c5b4a39281716f5e4d3c2b1a09"


class WebhookRequest(WireModel):
    """An address that is to be told of your results."""

    model_config = example_config(
        {"url": "https://example.com/hook", "eventTypes": ["result.completed", "result.failed"]}
    )

    url: Annotated[StrictStr, StringConstraints(min_length=1, max_length=2000)] = Field(
        description="`https` at a public address."
    )
    event_types: tuple[EventType, ...] = Field(
        default=("result.completed", "result.failed"), min_length=1, max_length=3, description="What it is told of."
    )


class RegisteredWebhook(WireModel):
    """A webhook, without its secret."""

    id: str
    url: str
    event_types: tuple[EventType, ...]
    created_at: Timestamp


class NewWebhook(RegisteredWebhook):
    """A webhook with its secret, which is shown here and never again."""

    model_config = example_config(
        {
            "id": EXAMPLE_WEBHOOK_ID,
            "url": "https://example.com/hook",
            "eventTypes": ["result.completed", "result.failed"],
            "createdAt": "2023-06-15T10:30:00.000Z",
            "secret": _EXAMPLE_SECRET,
        }
    )

    secret: str


class WebhookList(WireModel):
    """Your webhooks, oldest first: at most ten."""

    webhooks: tuple[RegisteredWebhook, ...]


class NewSecret(WireModel):
    """The secret that signs from now on, shown here and never again."""

    model_config = example_config({"secret": _EXAMPLE_SECRET, "previousSecretUntil": "2023-06-16T10:30:00.000Z"})

    secret: str
    previous_secret_until: Timestamp = Field(description="Until then the secret before signs beside it.")


class Delivery(WireModel):
    """A line of the log."""

    model_config = example_config(
        {
            "id": EXAMPLE_DELIVERY_ID,
            "eventType": "result.completed",
            "resultId": EXAMPLE_ID,
            "status": "failed",
            "attempts": 12,
            "createdAt": "2023-06-15T10:30:00.000Z",
            "lastAttemptAt": "2023-06-16T08:12:45.000Z",
            "lastStatus": 500,
        }
    )

    id: str = Field(description="The `id` of what was sent.")
    event_type: EventType
    result_id: str
    status: DeliveryStatus
    attempts: int
    created_at: Timestamp
    next_attempt_at: Timestamp | None = Field(default=None, description="Of one that is pending.")
    last_attempt_at: Timestamp | None = None
    last_status: int | None = Field(default=None, description="Of the last answer, where one came.")
    last_error: str | None = Field(default=None, description="What kept an answer from coming, or from counting.")


class DeliveryList(WireModel):
    """The newest deliveries of a webhook."""

    deliveries: tuple[Delivery, ...]
