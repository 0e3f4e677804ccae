"""One trace holds what became of one upload, over every process between its notification and its debit."""

import json
from collections.abc import Iterator

import pytest

from services.webhook_registry.registry import add_webhook
from tests.integration.webhooks.receiver import Receiver
from tests.support.otlp import CollectedSpan, Collector, way_up
from tests.support.scripted_engine import picture
from tests.support.stage import wait_for
from tests.support.system import System
from tests.unit.api.fakes import NOW

_CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_EXTRACTOR_STAGES = ("download", "recognise", "store", "publish")


@pytest.fixture
def collector(system: System) -> Iterator[Collector]:
    """A collector that every service of the system is told of."""
    made = Collector()
    system.stage.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": made.endpoint,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OCR_WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def _debits(collector: Collector, count: int) -> list[CollectedSpan]:
    wait_for(lambda: len(collector.named("debit")) >= count, "the debits", 60)
    return collector.named("debit")


def test_a_trace_holds_an_upload_from_its_notification_to_its_debit(system: System, collector: Collector) -> None:
    system.account("alice", 1_000)
    system.ledger()
    system.intake()
    extractor = system.extractor()
    keys = [f"ocr/alice/{number}.png" for number in range(3)]
    for number, key in enumerate(keys):
        system.stage.upload(key, picture(words=number + 1, seed=number))
    debits = _debits(collector, 3)
    assert len({debit.trace_id for debit in debits}) == 3, "each upload has a trace of its own"
    wait_for(lambda: len(collector.named("process ocr.uploads")) >= 3, "what the extractor did", 60)
    # Each process sends its spans when it likes: the first of a trace may come last.
    wait_for(lambda: len(collector.named("process notification")) >= 3, "what intake did", 60)
    for debit in debits:
        trace = collector.trace(debit.trace_id)
        assert way_up(debit, trace) == [
            "ocr-ledger: debit",
            "ocr-extractor: publish",
            "ocr-extractor: process ocr.uploads",
            "ocr-intake: send ocr.uploads",
            "ocr-intake: process notification",
        ]
        stay = next(span for span in trace.values() if span.name == "process ocr.uploads")
        below = [span.name for span in trace.values() if span.parent_id == stay.span_id]
        assert sorted(below) == sorted(_EXTRACTOR_STAGES)
        assert (stay.attributes["ocr.outcome"], stay.attributes["ocr.pages"]) == ("completed", 1)
        assert (debit.attributes["ocr.fate"], stay.has_failed, debit.has_failed) == ("posted", False, False)
        assert debit.attributes["ocr.result_id"] == stay.attributes["ocr.result_id"]
        _check_the_batch(collector, debit)
    assert sorted(int(str(debit.attributes["ocr.tokens"])) for debit in debits) == [51, 52, 53]
    assert all("alice" not in json.dumps(dict(span.attributes)) for span in collector.spans), "no keys, no users"
    assert extractor.exit_status is None


def _check_the_batch(collector: Collector, debit: CollectedSpan) -> None:
    """The debit is linked to its batch, and the batch to the record that it posted."""
    ((batch_trace, batch_span),) = debit.links
    wait_for(lambda: batch_span in collector.trace(batch_trace), "the batch's span", 60)
    batch = collector.trace(batch_trace)[batch_span]
    assert batch.name == "post usage"
    assert (debit.trace_id, debit.parent_id) in batch.links


def test_a_callers_trace_goes_through_the_api_to_the_debit_and_the_webhook(
    system: System, collector: Collector, receiver: Receiver
) -> None:
    key = system.account("alice", 1_000)
    add_webhook(system.engine, "alice", receiver.url, ["result.completed"], NOW)
    system.ledger()
    system.extractor()
    system.stage.start_ready("services.webhooks")
    api = system.api()
    system.stage.upload("ocr/alice/asked.png", picture(words=3))
    answer = system.process(api, key, "ocr/alice/asked.png", traceparent=_CALLER)
    assert answer.status == 200
    _, trace_id, caller, _ = _CALLER.split("-")
    (debit,) = _debits(collector, 1)
    wait_for(lambda: bool(collector.named("deliver webhook")), "the delivery", 60)
    wait_for(lambda: bool(collector.named("POST /api/ocr/process")), "the request's span", 60)
    wait_for(lambda: bool(collector.named("process ocr.requests")), "what the extractor did", 60)
    trace = collector.trace(trace_id)
    path = ["ocr-extractor: publish", "ocr-extractor: process ocr.requests", "ocr-api: send ocr.requests"]
    path += ["ocr-api: POST /api/ocr/process", "?"]
    assert way_up(debit, trace) == ["ocr-ledger: debit", *path]
    (delivery,) = collector.named("deliver webhook")
    assert way_up(delivery, trace) == ["ocr-webhooks: deliver webhook", *path]
    (request,) = collector.named("POST /api/ocr/process")
    assert (request.parent_id, request.attributes["http.response.status_code"]) == (caller, 200)
    ((_, headers, _),) = receiver.requests
    assert headers["traceparent"] == f"00-{trace_id}-{delivery.span_id}-01"
    logged = [json.loads(line) for line in api.output().splitlines() if line.startswith("{")]
    (line,) = [each for each in logged if each["message"] == "requested"]
    assert line["trace_id"] == trace_id


def test_what_another_record_has_published_ends_as_dropped_in_its_own_trace(
    system: System, collector: Collector
) -> None:
    system.account("alice", 1_000)
    system.ledger()
    system.extractor()
    etag = system.stage.upload("ocr/alice/twice.png", picture(words=3))
    request = system.stage.request("ocr/alice/twice.png", etag)
    system.stage.ask(request)
    _debits(collector, 1)
    system.stage.ask(request)
    wait_for(lambda: len(collector.named("process ocr.requests")) == 2, "both records", 60)
    first, second = collector.named("process ocr.requests")
    assert [each.attributes["ocr.outcome"] for each in (first, second)] == ["completed", "dropped"]
    assert first.trace_id != second.trace_id
    assert len(collector.named("debit")) == 1


def test_a_collector_that_is_away_keeps_nobody_from_working_or_ending(system: System, collector: Collector) -> None:
    collector.close()
    system.account("alice", 1_000)
    system.ledger()
    extractor = system.extractor()
    etag = system.stage.upload("ocr/alice/unseen.png", picture(words=3))
    request = system.stage.request("ocr/alice/unseen.png", etag)
    system.stage.ask(request)
    wait_for(lambda: system.stage.document(request) is not None, "the document", 60)
    extractor.process.terminate()
    assert extractor.wait(40.0) == 0
