"""Spans in memory: parents, links, contexts, and nothing where nothing is asked for."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from threading import Thread

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from services.runtime import tracing
from services.runtime.logs import JsonFormatter
from services.runtime.otel import OtelTracer
from services.runtime.tracing import Kind, wanted_exporters
from tests.support.spans import Memory, id_of, spans_in_memory, trace_of

_CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_UNSAMPLED = _CALLER[:-2] + "00"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    with spans_in_memory() as made:
        yield made


def test_a_span_is_below_the_context_it_was_given_and_passes_its_own_on(memory: Memory) -> None:
    with tracing.span("above", kind=Kind.SERVER, parent=_CALLER, attributes={"ocr.pages": 2}) as above:
        assert tracing.current() == above.traceparent
        with tracing.span("below", parent=above.traceparent):
            pass
    assert tracing.current() is None
    assert memory.names() == ["below", "above"]
    parent = memory["above"].parent
    assert parent is not None
    assert (parent.is_remote, f"{parent.span_id:016x}") == (True, "b7ad6b7169203331")
    assert trace_of(memory["above"]) == trace_of(memory["below"]) == _CALLER.split("-")[1]
    assert above.traceparent == f"00-{trace_of(memory['above'])}-{id_of(memory['above'])}-01"
    assert (memory["above"].kind, dict(memory["above"].attributes or {})) == (SpanKind.SERVER, {"ocr.pages": 2})


@pytest.mark.parametrize(
    "parent", [None, "", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff" + _CALLER[2:]]
)
def test_what_is_no_context_begins_a_trace(memory: Memory, parent: str | None) -> None:
    tracing.span("root", parent=parent).end()
    assert memory["root"].parent is None


def test_a_trace_that_its_caller_does_not_record_is_carried_and_not_recorded(memory: Memory) -> None:
    with tracing.span("unseen", parent=_UNSAMPLED) as span:
        pass
    assert memory.names() == []
    assert span.traceparent is not None
    assert (span.traceparent.split("-")[1], span.traceparent[-2:]) == (_CALLER.split("-")[1], "00")


def test_links_are_kept_and_those_that_are_none_left_out(memory: Memory) -> None:
    tracing.span("batch", links=[_CALLER, "nonsense"]).end()
    (link,) = memory["batch"].links
    assert f"{link.context.trace_id:032x}" == _CALLER.split("-")[1]


def test_a_block_that_raises_and_a_future_that_fails_are_failures(memory: Memory) -> None:
    with pytest.raises(ValueError, match="torn"), tracing.span("block"):
        raise ValueError("torn")
    failed: Future[None] = Future()
    failed.set_exception(RuntimeError("away"))
    tracing.span("future").end_with(failed)
    given_up: Future[None] = Future()
    given_up.cancel()
    tracing.span("given up").end_with(given_up)
    done: Future[None] = Future()
    done.set_result(None)
    tracing.span("done").end_with(done)
    assert memory["block"].status.description == "ValueError: torn"
    assert memory["future"].status.description == "away"
    assert memory["given up"].status.status_code is StatusCode.ERROR
    assert memory["done"].status.status_code is StatusCode.UNSET


def test_an_end_is_one_and_what_is_said_afterwards_is_lost(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    span = tracing.span("once", started_ns=1_000)
    span.end()
    span.end()
    span.set("ocr.late", 1)
    span.fail("late")
    assert memory.names() == ["once"]
    assert memory["once"].start_time == 1_000
    assert caplog.records == []


def test_log_lines_have_the_trace_of_their_block_and_other_threads_have_not(memory: Memory) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("test"))
    log = logging.Logger("test")
    log.addHandler(handler)
    with tracing.span("block"):
        log.info("inside")
        thread = Thread(target=log.info, args=("beside",))
        thread.start()
        thread.join()
    log.info("after")
    lines = {line["message"]: line for line in map(json.loads, stream.getvalue().splitlines())}
    assert lines["inside"]["trace_id"] == trace_of(memory["block"])
    assert "trace_id" not in lines["beside"]
    assert "trace_id" not in lines["after"]


def test_without_a_tracer_a_span_is_the_context_that_came() -> None:
    with tracing.span("nothing", parent=_CALLER) as span:
        assert span.traceparent == _CALLER
        assert tracing.current() is None
    assert tracing.sending("ocr.uploads", "r", None).traceparent is None


@pytest.mark.parametrize(
    ("environment", "exporters"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, ["otlp"]),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ["otlp"]),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ["console", "otlp"]),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, []),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, []),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, []),
    ],
)
def test_the_standard_variables_ask_for_traces(environment: dict[str, str], exporters: list[str]) -> None:
    assert wanted_exporters(environment) == exporters


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "ocr-test"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours,deployment.environment.name=prod"}, "ours"),
    ],
)
def test_the_service_is_named_as_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], name: str
) -> None:
    for variable in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert OtelTracer("test", []).provider.resource.attributes["service.name"] == name


def test_a_service_that_nobody_traces_imports_nothing_of_opentelemetry() -> None:
    program = (
        "import sys, services.runtime.tracing as t, services.ledger.worker, services.extractor.worker;"
        "t.configure_tracing('test'); assert not t.is_on();"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_where_the_packages_are_missing_it_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setitem(sys.modules, "services.runtime.otel", None)
    tracing.configure_tracing("test")
    assert not tracing.is_on()
    assert "the extra `tracing` is not installed" in caplog.text
