"""Traces: what one upload went through, over all processes. Off unless the environment asks for them.

A trace travels as text, as W3C's `traceparent`, in the headers of records and requests. Where nothing is traced here, a
span is nothing but the context that it passes on. The packages of OpenTelemetry are met in `services.runtime.otel`.
"""

import logging
import os
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextvars import ContextVar, Token
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol

from services.runtime.logs import log_context

_log = logging.getLogger(__name__)

AttributeValue = str | int | float | bool
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
"""W3C's header as every version has it so far; ids of zeros alone are none."""


class Kind(StrEnum):
    """Which end of a conversation a span is."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span:
    """Nothing but the context that it passes on.

    As a context manager it is the current one in the block, and ends with it, as failed where the block raised.
    """

    def __init__(self, traceparent: str | None = None) -> None:
        self.traceparent = traceparent
        """The context for whatever this span causes elsewhere."""

    def set(self, name: str, value: AttributeValue) -> None:
        """Adds an attribute: ids and counts, never keys or texts."""

    def rename(self, name: str) -> None:
        """Gives it the name that was not known at its start."""

    def fail(self, reason: str) -> None:
        """Marks it as failed."""

    def end(self) -> None:
        """Ends it; more than once is once."""

    def end_with(self, done: "Future[Any]") -> None:
        """Ends it as a future has ended."""
        if done.cancelled():
            self.fail("cancelled")
        elif (error := done.exception()) is not None:
            self.fail(str(error))
        self.end()

    def __enter__(self) -> "Span":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


class Tracer(Protocol):
    """Makes spans that are recorded."""

    def span(
        self,
        name: str,
        kind: Kind,
        parent: str | None,
        links: Iterable[str],
        attributes: Mapping[str, AttributeValue],
        started_ns: int,
    ) -> Span:
        """A span that has begun; without a parent it begins a trace."""


_tracer: Tracer | None = None
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def is_on() -> bool:
    """Whether spans are recorded: only then is what they are told worth gathering."""
    return _tracer is not None


def current() -> str | None:
    """The context of the block that runs."""
    return _current.get()


def span(
    name: str,
    *,
    kind: Kind = Kind.INTERNAL,
    parent: str | None = None,
    links: Iterable[str] = (),
    attributes: Mapping[str, AttributeValue] | None = None,
    started_ns: int | None = None,
) -> Span:
    """A span that has begun, `started_ns` after the epoch where that is past; end it, or use it as a context manager.

    Without a parent, or with one that is none by W3C's grammar, it begins a trace. `links` are contexts that led to
    it without being its parent.
    """
    if _tracer is None:
        return Span(parent)
    return _tracer.span(name, kind, parent, links, attributes or {}, started_ns or time.time_ns())


def valid(traceparent: str | None) -> str | None:
    """The text if it is a context, else None: what is none is not passed on."""
    return traceparent if traceparent and TRACEPARENT.fullmatch(traceparent) else None


def messaging(operation: str, destination: str, message_id: str | None = None) -> dict[str, AttributeValue]:
    """The attributes of a span around a record of Kafka, as OpenTelemetry's conventions name them.

    `operation` is "send" or "process"; `destination` a topic, `message_id` the event's correlation id.
    """
    attributes: dict[str, AttributeValue] = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": destination,
    }
    if message_id:
        attributes |= {"messaging.message.conversation_id": message_id, "ocr.result_id": message_id}
    return attributes


def sending(topic: str, correlation_id: str | None, parent: str | None) -> Span:
    """A span around a record on its way to the broker; the record carries its context."""
    attributes = messaging("send", topic, correlation_id) if is_on() else None
    return span(f"send {topic}", kind=Kind.PRODUCER, parent=parent, attributes=attributes)


class Current:
    """A block in which a context is the current one, and its trace's id is on every log line."""

    def __init__(self, traceparent: str | None) -> None:
        self._traceparent = traceparent
        self._logs = log_context(trace_id=traceparent.split("-")[1] if traceparent else None)
        self._token: Token[str | None] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self._traceparent)
        self._logs.__enter__()

    def __exit__(self, *problem: object) -> None:
        self._logs.__exit__(None, None, None)
        if self._token is not None:
            _current.reset(self._token)


def use(tracer: Tracer | None) -> None:
    """Records spans with this tracer from now on; None: no more."""
    global _tracer
    _tracer = tracer


def configure_tracing(service: str) -> None:
    """Records spans if OpenTelemetry's standard variables ask for it; says why where it cannot, and goes on without.

    `OTEL_TRACES_EXPORTER` (`otlp`, `console`, `none`) or an endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`,
    `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) asks for it, unless `OTEL_SDK_DISABLED` is true.
    """
    exporters = wanted_exporters(os.environ)
    if not exporters:
        return
    try:
        from services.runtime.otel import create_tracer
    except ImportError as error:
        # Platforms set these variables for all that runs on them: no reason not to work.
        _log.warning("traces are asked for, and the extra `tracing` is not installed: %s", error)
        return
    use(create_tracer(service, exporters))
    _log.info("traces are recorded", extra={"exporters": exporters})


def wanted_exporters(environment: Mapping[str, str]) -> list[str]:
    """The exporters that the standard variables ask for: of "otlp" and "console"."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    by_default = "otlp" if any(environment.get(name) for name in endpoints) else "none"
    named = [each.strip() for each in (environment.get("OTEL_TRACES_EXPORTER") or by_default).split(",")]
    exporters = [name for name in named if name in ("otlp", "console")]
    for name in set(named) - {"otlp", "console", "none", ""}:
        _log.warning("no such exporter of traces", extra={"exporter": name})
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if "otlp" in exporters and protocol not in (None, "", "http/protobuf"):
        _log.warning("traces are sent by http/protobuf alone: none are sent", extra={"protocol": protocol})
        exporters.remove("otlp")
    return exporters
