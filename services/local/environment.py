"""The settings of the local stack, as the environment variables that every process of ours is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic_settings import BaseSettings

from services.local.broker import EmbeddedBroker
from services.local.layout import Layout
from services.local.object_store import ACCESS_KEY, REGION, SECRET_KEY, EmbeddedObjectStore

UPLOADS_BUCKET = "ocr-uploads"
RESULTS_BUCKET = "ocr-results"

Settings = TypeVar("Settings", bound=BaseSettings)

# Settings that suit one machine; whoever sets one in the environment has the last word.
_DEFAULTS = {
    "OCR_KAFKA_PARTITIONS": "4",
    # The embedded broker's first assignment takes half of the session timeout.
    "OCR_KAFKA_SESSION_TIMEOUT_MS": "6000",
    "OCR_KAFKA_HEARTBEAT_INTERVAL_MS": "500",
    "OCR_INTAKE_SQS_WAIT_SECONDS": "2",
    "OCR_INTAKE_SWEEP_INTERVAL_SECONDS": "20",
    "OCR_INTAKE_SWEEP_AGE_SECONDS_MIN": "20",
    "OCR_LEDGER_SWEEP_CYCLE_SECONDS": "20",
    "OCR_LEDGER_SWEEP_GRACE_SECONDS": "20",
    # Whoever tries webhooks here has the receiver here, too.
    "OCR_WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
}


def shared_environment(layout: Layout, broker: EmbeddedBroker, store: EmbeddedObjectStore) -> dict[str, str]:
    """What every process of ours is told: the caller's settings, with the addresses of the embedded parts.

    The caller's cloud credentials are left out: nothing here may reach anything but this machine.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return (
        _DEFAULTS
        | inherited
        | {
            "OCR_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "OCR_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "OCR_KAFKA_REPLICATION_FACTOR": "1",
            "OCR_KAFKA_EMBEDDED": "true",
            "OCR_S3_ENDPOINT_URL": store.endpoint_url,
            "OCR_S3_REGION": REGION,
            "OCR_S3_ACCESS_KEY": ACCESS_KEY,
            "OCR_S3_SECRET_KEY": SECRET_KEY,
            "OCR_S3_UPLOADS_BUCKET": UPLOADS_BUCKET,
            "OCR_S3_RESULTS_BUCKET": RESULTS_BUCKET,
            "OCR_DATABASE_URL": f"sqlite:///{layout.database}",
        }
    )


def settings_from(kind: type[Settings], environment: Mapping[str, str]) -> Settings:
    """Settings as a process with this environment would read them."""
    prefix = kind.model_config.get("env_prefix", "")
    given: dict[str, Any] = {name: environment.get(f"{prefix}{name}".upper(), "") for name in kind.model_fields}
    return kind(**{name: value for name, value in given.items() if value})
