"""The services of the local stack: what each is told, in which order they start, and how one sees that it is ready."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from services.local.layout import Layout
from services.local.object_store import ACCESS_KEY, REGION, SECRET_KEY
from services.local.ports import LOOPBACK, free_port
from services.local.process import ManagedProcess

_PROBE_SECONDS_MAX = 2.0


@dataclass(frozen=True)
class Service:
    """A service as a process of its own, and the address that says whether it is ready."""

    process: ManagedProcess
    port: int

    @property
    def name(self) -> str:
        """As in `python -m services.<name>`."""
        return self.process.name

    def problem(self) -> str | None:
        """What it still lacks, None when it is ready. One HTTP request, at most two seconds."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_PROBE_SECONDS_MAX)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return None if answer.status == 200 else _reason(answer.read())
        except (OSError, http.client.HTTPException):
            return "does not answer yet"
        finally:
            connection.close()


def services(layout: Layout, shared: Mapping[str, str], queue_url: str, api_port: int | None) -> list[Service]:
    """The services in the order of their start; they stop in the reverse order."""
    return [
        _service(layout, "ledger", shared),
        _service(layout, "extractor", shared, {"OCR_EXTRACTOR_SPOOL_DIR": str(layout.spool)}),
        _service(layout, "intake", shared, queue_settings(shared, queue_url)),
        _service(layout, "webhooks", shared),
        _service(layout, "api", shared, {"OCR_API_HOST": LOOPBACK}, port_setting="OCR_API_PORT", port=api_port),
    ]


def queue_settings(shared: Mapping[str, str], queue_url: str) -> dict[str, str]:
    """What intake is told of the queue."""
    return {
        "OCR_INTAKE_SQS_QUEUE_URL": queue_url,
        "OCR_INTAKE_SQS_ENDPOINT_URL": shared["OCR_S3_ENDPOINT_URL"],
        "OCR_INTAKE_SQS_REGION": REGION,
        "OCR_INTAKE_SQS_ACCESS_KEY": ACCESS_KEY,
        "OCR_INTAKE_SQS_SECRET_KEY": SECRET_KEY,
    }


def _service(
    layout: Layout,
    name: str,
    shared: Mapping[str, str],
    own: Mapping[str, str] | None = None,
    *,
    port_setting: str = "OCR_HEALTH_PORT",
    port: int | None = None,
) -> Service:
    chosen_port = free_port() if port is None else port
    environment = {**shared, "OCR_HEALTH_HOST": LOOPBACK, **(own or {}), port_setting: str(chosen_port)}
    process = ManagedProcess(
        name=name,
        command=[sys.executable, "-m", f"services.{name}"],
        log_path=layout.logs / f"{name}.log",
        environment=environment,
    )
    return Service(process, chosen_port)


def _reason(body: bytes) -> str:
    """The sentence in a readiness answer."""
    try:
        answer = json.loads(body)
    except ValueError:
        return "is not ready"
    return str(answer.get("error", "is not ready")) if isinstance(answer, dict) else "is not ready"
