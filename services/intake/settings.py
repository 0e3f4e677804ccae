"""Settings of intake: which sources it listens to, and how the reconciler goes about."""

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class IntakeSettings(BaseSettings):
    """`OCR_INTAKE_...`. Any combination of sources may be on; with none the reconciler alone finds uploads."""

    model_config = SettingsConfigDict(env_prefix="OCR_INTAKE_", env_ignore_empty=True, extra="ignore")

    heads_parallel: int = Field(default=16, ge=1, le=256)
    """HEADs under way at a time, over all sources."""

    kafka_enabled: bool = False
    """Read notifications from the topic `object-store.events`."""
    kafka_batch_max: int = Field(default=500, ge=1, le=10_000)

    sqs_queue_url: str | None = None
    """Read notifications from this queue. It may be created later."""
    sqs_endpoint_url: str | None = None
    """Where the queue service answers, when it is not AWS."""
    sqs_region: str = "us-east-1"
    sqs_access_key: SecretStr | None = None
    sqs_secret_key: SecretStr | None = None
    """Without keys, boto3's own chain of credentials is used."""
    sqs_receivers: int = Field(default=4, ge=1, le=64)
    """Batches of up to ten messages worked on at a time."""
    sqs_wait_seconds: int = Field(default=5, ge=0, le=20)
    """How long the queue holds an empty answer back; a stopping process waits at most this long for one."""
    sqs_visibility_seconds: int = Field(default=60, ge=5, le=43_200)
    """How long a received message stays hidden from other receivers; work on it ends before."""

    http_host: str = "127.0.0.1"
    http_port: int | None = Field(default=None, ge=0, le=65_535)
    """Accept notifications by HTTP POST on this port; 0: any free one, written to the log."""
    http_path: str = Field(default="/notifications", pattern=r"^/")
    http_token: SecretStr | None = None
    """Expected as `Authorization: Bearer <token>`."""
    http_username: str | None = None
    http_password: SecretStr | None = None
    """Expected by HTTP Basic, for stores that can send nothing else."""
    http_body_bytes_max: int = Field(default=1024 * 1024, ge=1024)
    http_seconds_max: float = Field(default=15.0, gt=0)
    """How long a sender waits for its notification to be taken in before it is told to come again."""

    reconciler_enabled: bool = True
    sweep_interval_seconds: float = Field(default=300.0, gt=0)
    """Pause between two passes over all users."""
    sweep_age_seconds_min: float = Field(default=60.0, ge=0)
    """Younger objects are left to their notifications."""
    sweep_requests_per_second_max: float = Field(default=200.0, gt=0)
    sweep_lag_max: int = Field(default=500, ge=0)
    """With more records than these waiting on `ocr.uploads`, the reconciler waits."""
    sweep_repeat_seconds: float = Field(default=900.0, ge=0)
    """An object that was requested is not requested again before this time is over."""
    sweep_remembered_max: int = Field(default=100_000, ge=1)
    """How many requested objects are remembered for that."""
    sweep_top_up_delay_seconds: float = Field(default=1.0, ge=0)
    """Head start that a topped-up balance gets on its way to the extractors."""

    @model_validator(mode="after")
    def _http_is_guarded(self) -> Self:
        basic = self.http_username is not None and self.http_password is not None
        if self.http_port is not None and self.http_token is None and not basic:
            raise ValueError("OCR_INTAKE_HTTP_PORT needs OCR_INTAKE_HTTP_TOKEN, or ..._HTTP_USERNAME and _PASSWORD")
        return self
