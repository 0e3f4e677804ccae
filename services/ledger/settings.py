"""The ledger's own settings, `OCR_LEDGER_...`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class LedgerSettings(BaseSettings):
    """How usage is posted and published, and how documents without an entry are found."""

    model_config = SettingsConfigDict(env_prefix="OCR_LEDGER_", env_ignore_empty=True, extra="ignore")

    batch_records_max: int = Field(default=2_000, ge=1, le=100_000)
    """Usage events of one SQL transaction."""
    batch_wait_seconds: float = Field(default=0.05, gt=0)
    """How long the first usage event waits for others to share its transaction."""
    outbox_poll_seconds: float = Field(default=0.2, gt=0)
    """How soon a grant, which another process writes, is seen and published."""
    heartbeat_seconds: float = Field(default=5.0, gt=0)
    balances_cycle_seconds: float = Field(default=300.0, gt=0)
    """How often every balance is published again."""
    sweep: bool = True
    sweep_cycle_seconds: float = Field(default=600.0, gt=0)
    """Pause between two passes over the documents."""
    sweep_grace_seconds: float = Field(default=600.0, ge=0)
    """A younger document may still be published by its author."""
    sweep_takeovers_per_second_max: float = Field(default=20.0, gt=0)
    low_balance_tokens: int = Field(default=1_000, ge=1)
    """Below it an account counts as low in the metrics, and its user is named there."""
    low_balance_users_max: int = Field(default=50, ge=0, le=1_000)
    """How many such users are named at most; 0 names nobody in the metrics."""
