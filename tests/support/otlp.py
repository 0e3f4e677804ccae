"""A collector of traces for tests: an HTTP server that takes OTLP in protobuf and keeps the spans."""

import gzip
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it arrived; ids in hexadecimal, of which a root's `parent_id` is empty."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[tuple[str, str], ...]
    """Trace and span each."""
    attributes: Mapping[str, object]
    has_failed: bool
    nanoseconds: int


@dataclass
class Collector:
    """Listens on 127.0.0.1 until closed."""

    spans: list[CollectedSpan] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begins to listen."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.spans += _spans(ExportTraceServiceRequest.FromString(body))
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Tests have their own words."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    def named(self, name: str) -> list[CollectedSpan]:
        """The spans of a name so far."""
        return [span for span in list(self.spans) if span.name == name]

    def trace(self, trace_id: str) -> dict[str, CollectedSpan]:
        """The spans of a trace by their ids."""
        return {span.span_id: span for span in list(self.spans) if span.trace_id == trace_id}


def way_up(span: CollectedSpan, trace: Mapping[str, CollectedSpan]) -> list[str]:
    """The names from a span to its root, as "service: name"; "?" ends it where a parent was never sent."""
    names = [f"{span.service}: {span.name}"]
    while span.parent_id:
        if span.parent_id not in trace:
            return [*names, "?"]
        span = trace[span.parent_id]
        names.append(f"{span.service}: {span.name}")
    return names


def _spans(request: ExportTraceServiceRequest) -> list[CollectedSpan]:
    found = []
    for resource in request.resource_spans:
        named = {each.key: each.value.string_value for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                values = {each.key: each.value for each in span.attributes}
                found.append(
                    CollectedSpan(
                        service=named["service.name"],
                        name=span.name,
                        trace_id=span.trace_id.hex(),
                        span_id=span.span_id.hex(),
                        parent_id=span.parent_span_id.hex(),
                        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                        attributes={key: getattr(value, value.WhichOneof("value")) for key, value in values.items()},
                        has_failed=span.status.code == span.status.STATUS_CODE_ERROR,
                        nanoseconds=span.end_time_unix_nano - span.start_time_unix_nano,
                    )
                )
    return found
