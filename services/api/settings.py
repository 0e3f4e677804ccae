"""Settings of the API process, `OCR_API_...`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ApiSettings(BaseSettings):
    """Where it listens, how long it waits, and how much it takes on at a time."""

    model_config = SettingsConfigDict(env_prefix="OCR_API_", env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    waiters_max: int = Field(default=512, ge=1)
    """POSTs in flight at a time; one more is 503 `overloaded`."""
    waiters_per_user_max: int = Field(default=256, ge=1)
    """The same for one user."""
    rate_limit_requests: int = Field(default=6_000, ge=0)
    """Requests that one API key may make at once; 0: any number. Each replica counts for itself."""
    rate_limit_seconds: float = Field(default=60.0, gt=0)
    """Within which they are allowed again, evenly."""
    wait_seconds_default: float = Field(default=30.0, gt=0)
    wait_seconds_max: float = Field(default=120.0, gt=0)
    """The longest wait that `Prefer: wait=N` can ask for."""
    produce_seconds_max: float = Field(default=10.0, gt=0)
    """How long the broker may take to acknowledge a request."""
    retry_after_seconds: int = Field(default=5, ge=1)
    """What `Retry-After` tells those who were turned away for now."""
    reply_inspection_seconds: float = Field(default=5.0, gt=0)
    """How often the reader of replies looks for partitions that were added to `ocr.results`."""
    presign_seconds: int = Field(default=900, ge=1, le=604_800)
    """How long a presigned upload URL is good for; S3 allows a week."""
    body_bytes_max: int = Field(default=65_536, ge=4_096)
    """The longest body of a JSON request."""
    uploads_max: int = Field(default=8, ge=1)
    """Files that arrive through `POST /api/files` at a time; one more is 503 `overloaded`."""
    uploads_per_user_max: int = Field(default=4, ge=1)
    """The same for one user."""
    upload_idle_seconds_max: float = Field(default=30.0, gt=0)
    """How long such a file may stop arriving before it is given up."""
    upload_bytes_per_second_min: int = Field(default=20_000, ge=1)
    """One that arrives slower is given up: it is waited for as long as it may stop, and its bytes take at this rate."""
    pdfs_max: int = Field(default=2, ge=1)
    """Searchable PDFs that are made at a time; one more is 503 `overloaded`."""
    pdf_seconds_max: float = Field(default=60.0, gt=0)
    """How long the making of one may take."""
    pdf_memory_bytes_max: int = Field(default=1_500_000_000, ge=300_000_000)
    """How much memory the process that makes one may address."""
    spool_dir: Path | None = None
    """Where such files lie until they are complete, and searchable PDFs are made. Default: the system's."""
    results_kept_days: float = Field(default=0.0, ge=0)
    """Completed results that are older are deleted, as their users delete them; 0: they are kept for ever."""
    retention_pause_seconds: float = Field(default=3600.0, gt=0)
    """How often results that are old enough are looked for."""
    key_cache_seconds: float = Field(default=3.0, ge=0)
    """How long a revoked API key may still be accepted."""
    store_threads: int = Field(default=16, ge=1)
    """Calls of the object store at a time."""
    drain_seconds: float = Field(default=25.0, gt=0)
    """After SIGTERM, how long those who wait may go on waiting."""
