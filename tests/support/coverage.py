"""Which part the tests really met, and what a run therefore did not cover."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import pytest

from tests.support.parts import PartKind, PartName

_LOST_WITHOUT: dict[PartName, str] = {
    "kafka": "Apache Kafka: fencing of stale generations, offset metadata, state that survives a broker's restart",
    "object_store": "an S3 server that verifies signatures: presigned uploads bound to type and size, its "
    "conditional writes, its notifications in Kafka",
    "postgres": "PostgreSQL: row locks, time limits of idle transactions, concurrent ledgers",
    "browser": "the console in a browser: reading, pasting, deleting, keyboard, phone width, dark mode, its policy",
    "helm": "the chart in deploy/helm, rendered and held against the schemas of Kubernetes",
    "promtool": "the alert rules in deploy/prometheus, by Prometheus' own checker",
    "specifications": "schemas/asyncapi.yaml and docker-compose.yml against the JSON Schemas of their specifications",
    "tensorflow": "the engine `tensorflow`: its weights, its models, and that both engines read the same words "
    "(`make test-tensorflow` does)",
}


def real_parts_required() -> bool:
    """Whether a run without a real part is an error (OCR_REQUIRE_REAL_PARTS=1, as in CI)."""
    return os.environ.get("OCR_REQUIRE_REAL_PARTS", "") not in ("", "0")


@dataclass
class Coverage:
    """What provided each part in this run, and why a real one was not to be had."""

    providers: dict[PartName, str] = field(default_factory=dict)
    missing: dict[PartName, str] = field(default_factory=dict)

    def used(self, name: PartName, kind: PartKind, description: str) -> None:
        """Notes what provides the part."""
        self.providers[name] = f"{description} ({kind})"

    def lacked(self, name: PartName, reason: str) -> None:
        """Notes that no real part could be had."""
        self.missing[name] = reason

    def met(self) -> list[str]:
        """A line a part: what provided it."""
        return [f"{name}: {provider}" for name, provider in sorted(self.providers.items())]

    def gaps(self) -> list[str]:
        """What was not covered and why; empty when every part that the tests asked for was a real one."""
        lines = []
        for name, reason in sorted(self.missing.items()):
            lines.append(f"NOT COVERED: {_LOST_WITHOUT[name]}")
            lines.append(f"  because: {reason.splitlines()[0]}")
        return lines


COVERAGE = pytest.StashKey[Coverage]()
