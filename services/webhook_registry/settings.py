"""Settings of webhooks, `OCR_WEBHOOKS_...`; the API and the commands read them, too."""

import ipaddress

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class WebhookSettings(BaseSettings):
    """Where deliveries may go, and how patient they are."""

    model_config = SettingsConfigDict(env_prefix="OCR_WEBHOOKS_", env_ignore_empty=True, extra="ignore")

    allowed_networks: str = ""
    """Networks in CIDR notation, separated by commas, that webhooks may reach although they are not public. Plain
    HTTP goes to these alone."""
    attempts_max: int = Field(default=12, ge=1, le=50)
    """Attempts of one delivery; with the default pauses they spread over about 22 hours."""
    backoff_seconds_first: float = Field(default=5.0, gt=0)
    """The pause after the first failure; each further one is three times as long."""
    backoff_seconds_max: float = Field(default=21_600.0, gt=0)
    attempt_seconds_max: float = Field(default=15.0, gt=0)
    """From looking up the name to the last byte of the answer."""
    in_flight_max: int = Field(default=64, ge=1)
    """Deliveries under way at a time."""
    in_flight_per_user_max: int = Field(default=4, ge=1)
    """The same for one user, whose slow receiver holds up nobody else's deliveries."""
    poll_seconds: float = Field(default=1.0, gt=0)
    """How often other replicas' and retried deliveries are looked for."""
    secret_overlap_hours: float = Field(default=24.0, ge=0, le=24 * 30)
    """How long a secret that was replaced signs beside the new one."""
    log_days: float = Field(default=30.0, gt=0)
    """How long the log keeps a delivery that has ended."""

    @field_validator("allowed_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        for each in filter(None, text.split(",")):
            ipaddress.ip_network(each.strip())
        return text
