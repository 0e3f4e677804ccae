"""Settings of every process: environment variables with the prefix `OCR_`, checked at start."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.topics import UPLOAD_SPREAD


def _config(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(env_prefix=prefix, env_ignore_empty=True, extra="ignore")


class KafkaSettings(BaseSettings):
    """The broker, `OCR_KAFKA_...`."""

    model_config = _config("OCR_KAFKA_")

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: str | None = None
    topic_prefix: str = ""
    """Prepended to every topic, consumer group and transactional id, so that installations share a broker."""
    object_store_topic: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,200}$")
    """The whole name of the topic of notifications, for stores that take no dots in it. Else `object-store.events`."""
    partitions: int = Field(default=12, ge=1, le=10_000)
    """Partitions of the topics that are spread; those with a single one by design keep it."""
    upload_spread: int = Field(default=UPLOAD_SPREAD, ge=1, le=1024)
    """Partitions of `ocr.uploads` that one user's flood can fill; the same for every service."""
    replication_factor: int = Field(default=1, ge=1, le=10)
    retention_factor: float = Field(default=1.0, gt=0)
    """Multiplies the retention that `schemas.topics` gives."""
    session_timeout_ms: int = Field(default=10_000, ge=1_000)
    heartbeat_interval_ms: int = Field(default=3_000, ge=100)
    max_poll_interval_ms: int = Field(default=60_000, ge=1_000)
    transaction_timeout_ms: int = Field(default=10_000, ge=1_000)
    embedded: bool = False
    """The broker is the embedded one: its events are gone after a restart, and it fences less than Kafka."""


class ObjectStoreSettings(BaseSettings):
    """The object store, `OCR_S3_...`. Without keys, boto3's own chain of credentials is used."""

    model_config = _config("OCR_S3_")

    endpoint_url: str | None = None
    public_endpoint_url: str | None = None
    """What presigned URLs name, when clients reach the store under another address than the services do."""
    region: str = "us-east-1"
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    uploads_bucket: str = "ocr-uploads"
    results_bucket: str = "ocr-results"
    file_base_url: str | None = None
    """Base of `fileUrl`; the object's key is appended. Default: endpoint and uploads bucket."""
    timeout_seconds: float = Field(default=20.0, gt=0)
    connections_max: int = Field(default=64, ge=1)

    def file_url_base(self) -> str:
        """The URL that an object's key is appended to, ending with a slash."""
        base = self.file_base_url
        if base is None:
            public = self.public_endpoint_url or self.endpoint_url or f"https://s3.{self.region}.amazonaws.com"
            base = f"{public.rstrip('/')}/{self.uploads_bucket}"
        return base.rstrip("/") + "/"


class DatabaseSettings(BaseSettings):
    """The database, `OCR_DATABASE_...`: SQLite on one machine, else PostgreSQL."""

    model_config = _config("OCR_DATABASE_")

    url: SecretStr = SecretStr("sqlite:///data/ocr.db")
    """`sqlite:///path`, or `postgresql://user:password@host/name`."""
    pool_size: int = Field(default=5, ge=1)
    connect_timeout_seconds: int = Field(default=5, ge=1)
    lock_timeout_seconds: float = Field(default=10.0, gt=0)
    """How long a statement waits for a lock, and on SQLite a writer for the writer before it."""
    statement_timeout_seconds: float = Field(default=30.0, gt=0)
    idle_in_transaction_seconds_max: float = Field(default=10.0, gt=0)
    """A process frozen inside a transaction loses it, and with it the locks, after this time (PostgreSQL)."""


class PriceSettings(BaseSettings):
    """What a result costs, `OCR_PRICE_...`; the version is written into every usage event."""

    model_config = _config("OCR_PRICE_")

    version: str = "2026-11"
    tokens_per_page_unit: int = Field(default=50, ge=0)
    tokens_per_word: int = Field(default=1, ge=0)


class LimitSettings(BaseSettings):
    """What a document may be, `OCR_LIMITS_...`; beyond it is `file_too_large` or `unreadable_document`."""

    model_config = _config("OCR_LIMITS_")

    bytes_max: int = Field(default=50_000_000, ge=1)
    pages_max: int = Field(default=200, ge=1)
    pixels_max: int = Field(default=100_000_000, ge=1)
    page_seconds_max: float = Field(default=20.0, gt=0)


class AdmissionSettings(BaseSettings):
    """When work is taken on, `OCR_ADMISSION_...`."""

    model_config = _config("OCR_ADMISSION_")

    staleness_seconds_max: float = Field(default=60.0, gt=0)


class ProcessSettings(BaseSettings):
    """How a process is watched, `OCR_...`: its logs and, for workers, the port of health and metrics."""

    model_config = _config("OCR_")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=0, ge=0, le=65_535)
    """0: any free port, written to the log."""
