"""Spans kept in memory, for tests of one process."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.runtime import tracing
from services.runtime.otel import OtelTracer


class Memory:
    """The spans that ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer = OtelTracer("test", [SimpleSpanProcessor(self._exporter)])

    def __getitem__(self, name: str) -> ReadableSpan:
        """The one span of a name."""
        (found,) = self.all(name)
        return found

    def all(self, name: str) -> list[ReadableSpan]:
        """Those of a name, in the order of their ends."""
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def names(self) -> list[str]:
        """Their names, in the order of their ends."""
        return [span.name for span in self._exporter.get_finished_spans()]


@contextmanager
def spans_in_memory() -> Iterator[Memory]:
    """Records spans in memory inside of the block."""
    made = Memory()
    tracing.use(made.tracer)
    try:
        yield made
    finally:
        tracing.use(None)


def trace_of(span: ReadableSpan) -> str:
    """The trace's id in hexadecimal."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def id_of(span: ReadableSpan) -> str:
    """The span's id in hexadecimal."""
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str | None:
    """The parent's id in hexadecimal; None for the root of a trace."""
    return None if span.parent is None else f"{span.parent.span_id:016x}"
