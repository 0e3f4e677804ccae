"""OpenTelemetry behind `services.runtime.tracing`: the one module that imports its packages, the extra `tracing`."""

from collections.abc import Iterable, Mapping
from types import TracebackType

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from services.runtime.tracing import TRACEPARENT, AttributeValue, Current, Kind, Span

_SAMPLED = 0x01


class RecordedSpan(Span):
    """A span of OpenTelemetry's."""

    def __init__(self, span: OtelSpan) -> None:
        context = span.get_span_context()
        super().__init__(f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & _SAMPLED:02x}")
        self._span = span
        self._current = Current(self.traceparent)

    def set(self, name: str, value: AttributeValue) -> None:
        """Adds an attribute."""
        if self._span.is_recording():
            self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Gives it another name."""
        self._span.update_name(name)

    def fail(self, reason: str) -> None:
        """Marks it as failed."""
        if self._span.is_recording():
            self._span.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        """Ends it; more than once is once."""
        if self._span.is_recording():
            self._span.end()

    def __enter__(self) -> Span:
        self._current.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._current.__exit__()
        if error is not None:
            self.fail(f"{type(error).__name__}: {error}")
        self.end()


class OtelTracer:
    """Makes spans, and hands those that ended to a processor."""

    def __init__(self, service: str, processors: Iterable[SpanProcessor]) -> None:
        # What the environment says of the resource goes first: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`.
        named = Resource({SERVICE_NAME: f"ocr-{service}"}).merge(_of_environment())
        # The sampler, too, is the environment's: `OTEL_TRACES_SAMPLER`. Leaving, the process sends what it still has.
        self.provider = TracerProvider(resource=named)
        for processor in processors:
            self.provider.add_span_processor(processor)
        self._tracer = self.provider.get_tracer("ocr-services")

    def span(
        self,
        name: str,
        kind: Kind,
        parent: str | None,
        links: Iterable[str],
        attributes: Mapping[str, AttributeValue],
        started_ns: int,
    ) -> Span:
        """A span that has begun."""
        above = _context(parent)
        return RecordedSpan(
            self._tracer.start_span(
                name,
                context=set_span_in_context(NonRecordingSpan(above), Context()) if above else Context(),
                kind=SpanKind[kind.name],
                links=[Link(context) for link in links if (context := _context(link))],
                attributes=attributes,
                start_time=started_ns,
            )
        )


def create_tracer(service: str, exporters: Iterable[str]) -> OtelTracer:
    """A tracer that sends in batches, from a thread of its own: nothing waits for the collector."""
    made: Mapping[str, type[SpanExporter]] = {"otlp": OTLPSpanExporter, "console": ConsoleSpanExporter}
    return OtelTracer(service, [BatchSpanProcessor(made[name]()) for name in exporters])


def _of_environment() -> Resource:
    created = Resource.create()
    unnamed = str(created.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return Resource({name: value for name, value in created.attributes.items() if name != SERVICE_NAME or not unnamed})


def _context(traceparent: str | None) -> SpanContext | None:
    match = TRACEPARENT.fullmatch(traceparent or "")
    if match is None:
        return None
    flags = TraceFlags(int(match["flags"], 16) & _SAMPLED)
    return SpanContext(int(match["trace"], 16), int(match["span"], 16), is_remote=True, trace_flags=flags)
