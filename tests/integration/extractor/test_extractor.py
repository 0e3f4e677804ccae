"""The extractor against real Kafka and a real object store, with an engine that does what the picture says."""

import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Message

from schemas.cloudevents import encode
from schemas.document import DocumentStatus
from schemas.events import (
    ErrorCode,
    OcrRequest,
    Origin,
    ResultCompleted,
    ResultFailed,
    ResultRefused,
    UsageRecorded,
)
from schemas.identity import document_key
from schemas.topics import REQUESTS, UPLOADS
from tests.integration.extractor.asking import EXTRACTOR, author_of, await_results, committed, results, uploaded
from tests.support.scripted_engine import (
    BREAK,
    CRASH,
    CRASH_ONCE,
    HANG,
    KILL_PARENT,
    SLOW,
    picture,
)
from tests.support.stage import Stage, Topics, wait_for
from tests.unit.extractor.samples import NOW, attributes, draft

# Several members of a group, fenced, with offset metadata: Apache Kafka's to give. The embedded broker runs one
# extractor, and tests/e2e/local runs that.
pytestmark = pytest.mark.needs_real("kafka")


def test_a_request_becomes_document_result_and_usage(stage: Stage) -> None:
    stage.start_ready(EXTRACTOR)
    request = uploaded(stage, "ä b+c.png", picture(words=5))
    stage.ask(request)
    await_results(stage, 1)
    (result,) = stage.read.events(ResultCompleted)
    assert result.text == "word1 word2 word3 word4 word5"
    assert (result.word_count, result.tokens_used, result.page_count) == (5, 55, 1)
    assert result.file_url.endswith("/ocr/alice/%C3%A4%20b%2Bc.png")
    wait_for(lambda: len(stage.read.events(UsageRecorded)) == 1, "usage")
    assert stage.read.events(UsageRecorded)[0].usage_id == request.result_id
    document = stage.document(request)
    assert document is not None
    assert document.pages[0].blocks[0].lines[0].words[0].text == "word1"
    assert result.document_key == document_key("alice", request.result_id)


def test_an_upload_and_a_post_for_the_same_object_publish_once(stage: Stage) -> None:
    for _ in range(2):
        stage.start_ready(EXTRACTOR)
    requests = [uploaded(stage, f"{n}.png", picture(words=n + 1, seed=n)) for n in range(20)]
    for request in requests:
        stage.ask(request)
        stage.ask(request.model_copy(update={"origin": Origin.NOTIFICATION}), upload=True)
        stage.ask(request)
    last = uploaded(stage, "last.png", picture())
    await_results(stage, 20)
    wait_for(lambda: committed(stage) == 60, "every request is finished")
    stage.ask(last)
    await_results(stage, 21)
    counts = Counter(result.result_id for result in results(stage))
    assert set(counts.values()) == {1}
    usages = Counter(usage.usage_id for usage in stage.read.events(UsageRecorded))
    assert set(usages.values()) == {1}
    assert len(usages) == 21


def test_overwritten_content_is_another_result_and_the_old_request_is_refused(stage: Stage) -> None:
    old = uploaded(stage, "a.png", picture(words=2))
    new = uploaded(stage, "a.png", picture(words=3))
    stage.ask(old)
    stage.ask(new)
    stage.start_ready(EXTRACTOR)
    await_results(stage, 2)
    assert stage.read.events(ResultRefused)[0].error.code is ErrorCode.OBJECT_CHANGED
    assert stage.read.events(ResultCompleted)[0].result_id == new.result_id
    assert stage.document(old) is None


def test_a_deleted_object_is_refused_and_leaves_no_document(stage: Stage) -> None:
    request = uploaded(stage, "a.png", picture())
    stage.objects.delete(stage.store.uploads_bucket, request.key)
    stage.ask(request)
    stage.start_ready(EXTRACTOR)
    await_results(stage, 1)
    assert stage.read.events(ResultRefused)[0].error.code is ErrorCode.FILE_NOT_FOUND
    assert stage.document(request) is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", ErrorCode.UNSUPPORTED_MEDIA_TYPE, id="empty"),
        pytest.param(b"just text, named .png", ErrorCode.UNSUPPORTED_MEDIA_TYPE, id="text"),
        pytest.param(picture(words=20)[:60], ErrorCode.UNREADABLE_DOCUMENT, id="truncated"),
        pytest.param(b"%PDF-1.7\n%broken", ErrorCode.UNREADABLE_DOCUMENT, id="broken PDF"),
    ],
)
def test_what_cannot_be_read_fails_for_ever_and_costs_nothing(stage: Stage, body: bytes, code: ErrorCode) -> None:
    stage.start_ready(EXTRACTOR)
    request = uploaded(stage, "a.png", body)
    stage.ask(request)
    await_results(stage, 1)
    (failed,) = stage.read.events(ResultFailed)
    assert failed.error.code is code
    document = stage.document(request)
    assert document is not None
    assert document.status is DocumentStatus.FAILED
    wait_for(lambda: len(stage.read.events(UsageRecorded)) == 1, "usage")
    usage = stage.read.events(UsageRecorded)[0]
    assert (usage.tokens, usage.outcome) == (0, "failed")
    assert usage.usage_id != request.result_id


def test_a_document_that_kills_the_recogniser_three_times_is_unreadable_and_its_neighbours_are_read(
    stage: Stage,
) -> None:
    stage.start_ready(EXTRACTOR)
    poison = uploaded(stage, "poison.png", picture(script=CRASH))
    stage.ask(poison)
    for n in range(5):
        stage.ask(uploaded(stage, f"{n}.png", picture(seed=n)))
    await_results(stage, 6)
    (failed,) = stage.read.events(ResultFailed)
    assert failed.result_id == poison.result_id
    assert failed.error.code is ErrorCode.UNREADABLE_DOCUMENT
    assert len(stage.read.events(ResultCompleted)) == 5


def test_a_page_is_read_again_after_the_recogniser_died_once(stage: Stage, tmp_path: Path) -> None:
    stage.start_ready(EXTRACTOR, SCRIPTED_MARKER=str(tmp_path / "marker"))
    stage.ask(uploaded(stage, "a.tiff", picture(script=CRASH_ONCE, pages=3)))
    await_results(stage, 1)
    assert stage.read.events(ResultCompleted)[0].page_count == 3


def test_a_page_that_takes_too_long_is_unreadable(stage: Stage) -> None:
    stage.start_ready(EXTRACTOR, OCR_LIMITS_PAGE_SECONDS_MAX="0.5")
    stage.ask(uploaded(stage, "a.png", picture(script=HANG)))
    await_results(stage, 1)
    assert "took longer than allowed" in stage.read.events(ResultFailed)[0].error.reason


def test_an_engine_that_fails_makes_no_document(stage: Stage) -> None:
    stage.start_ready(EXTRACTOR)
    request = uploaded(stage, "a.png", picture(script=BREAK))
    stage.ask(request)
    await_results(stage, 1)
    assert stage.read.events(ResultRefused)[0].error.code is ErrorCode.UNAVAILABLE
    assert stage.document(request) is None


def test_a_document_that_takes_the_whole_extractor_along_ends_as_unreadable(stage: Stage) -> None:
    poison = uploaded(stage, "poison.png", picture(script=KILL_PARENT))
    neighbours = [uploaded(stage, f"{n}.png", picture(seed=n)) for n in range(3)]
    stage.ask(poison)
    for request in neighbours:
        stage.ask(request)
    lives = 0
    worker = stage.start(EXTRACTOR)
    while len(results(stage)) < 4:
        if worker.exit_status is not None:
            lives += 1
            assert lives <= 6, "it goes on for ever"
            worker = stage.start(EXTRACTOR)
        worker_state = worker
        wait_for(lambda w=worker_state: w.exit_status is not None or len(results(stage)) == 4, "it ends", 60)  # type: ignore[misc]
    (failed,) = stage.read.events(ResultFailed)
    assert failed.result_id == poison.result_id
    assert failed.error.code is ErrorCode.UNREADABLE_DOCUMENT
    assert lives >= 3


def test_a_long_document_somebody_waits_for_is_passed_on_to_the_uploads(stage: Stage) -> None:
    stage.start_ready(EXTRACTOR, OCR_EXTRACTOR_WAITING_PAGES_MAX="2")
    request = uploaded(stage, "a.tiff", picture(pages=3))
    stage.ask(request)
    await_results(stage, 1)
    document = stage.document(request)
    assert document is not None
    assert document.author.topic.endswith(UPLOADS.name)
    assert stage.read.events(ResultCompleted)[0].page_count == 3


@pytest.mark.parametrize("user", ["bob", "nobody"])
def test_an_upload_without_balance_is_refused_and_read_after_a_top_up(stage: Stage, user: str) -> None:
    stage.fund("bob", 0)
    stage.start_ready(EXTRACTOR)
    request = uploaded(stage, "a.png", picture(), user=user)
    stage.ask(request, upload=True)
    await_results(stage, 1)
    assert stage.read.events(ResultRefused)[0].error.code is ErrorCode.INSUFFICIENT_TOKENS
    stage.fund(user, 100)
    wait_for(lambda: _asked_again(stage, request), "it is read")


def _asked_again(stage: Stage, request: OcrRequest) -> bool:
    stage.ask(request, upload=True)
    return bool(stage.read.events(ResultCompleted))


def test_an_undecodable_record_is_a_dead_letter_once_with_reason_and_origin(stage: Stage) -> None:
    stage.start_ready(EXTRACTOR)
    request = uploaded(stage, "a.png", picture())
    headers, body = encode(request, attributes())
    foreign = request.model_copy(update={"user_id": "mallory"}).to_json()
    unknown = [(name, "ocr.request.v9" if name == "ce_type" else value) for name, value in headers]
    bad: list[tuple[bytes | None, list[tuple[str, str | bytes | None]]]] = [
        (b"not json", headers),
        (None, headers),
        (body, headers[1:]),
        (body, unknown),
        (foreign, headers),
    ]
    for value, some_headers in bad:
        stage.produce_raw(REQUESTS, "k", value, some_headers)
    stage.ask(request)
    await_results(stage, 1)
    wait_for(lambda: committed(stage) == len(bad) + 1, "all are finished")
    letters = Topics(stage.kafka, (replace(REQUESTS, name=REQUESTS.dead_letters),))
    letters.start()
    wait_for(lambda: len(letters.messages) >= len(bad), "the dead letters")
    letters.close()
    assert len(letters.messages) == len(bad)
    carried = [{name: str(value) for name, value in _headers(message)} for message in letters.messages]
    assert all(REQUESTS.name in headers["dlq-topic"] for headers in carried)
    assert all(headers["dlq-reason"] and headers["dlq-offset"] for headers in carried)


def test_an_undecodable_record_as_large_as_its_topic_takes_is_one_dead_letter_and_the_rest_goes_on(
    stage: Stage,
) -> None:
    stage.start_ready(EXTRACTOR)
    large = os.urandom(REQUESTS.message_bytes_max - 200)
    stage.produce_raw(REQUESTS, "k", large, [])
    stage.ask(uploaded(stage, "a.png", picture()))
    await_results(stage, 1)
    wait_for(lambda: committed(stage) == 2, "both are finished")
    letters = Topics(stage.kafka, (replace(REQUESTS, name=REQUESTS.dead_letters),))
    letters.start()
    wait_for(lambda: len(letters.messages) >= 1, "the dead letter")
    letters.close()
    (letter,) = letters.messages
    assert ("dlq-truncated", str(len(large)).encode()) in _headers(letter)
    assert large.startswith(letter.value() or b"-")


def _headers(message: Message) -> list[tuple[str, str | bytes | None]]:
    headers = message.headers() or []
    return list(headers.items()) if isinstance(headers, dict) else headers


def test_a_run_of_undecodable_records_halts(stage: Stage) -> None:
    worker = stage.start_ready(EXTRACTOR)
    for _ in range(100):
        stage.produce_raw(REQUESTS, "k", b"not json", [])
    assert worker.wait() == 3
    assert "undecodable records in a row" in worker.output()


def test_deleted_between_document_and_transaction_is_charged_and_publishes_no_result(stage: Stage) -> None:
    request = uploaded(stage, "a.png", picture(words=4))
    stage.ask(request)
    # An extractor that was killed in between: the record's document is there, its events and offset are not.
    stage.documents.create(draft(request, by=author_of(stage, request)))
    tombstone = stage.documents.bury(request.user_id, request.result_id, NOW)
    assert tombstone is not None
    stage.start_ready(EXTRACTOR)
    stage.ask(request)
    stage.ask(request, upload=True)
    wait_for(lambda: committed(stage) == 3, "all three are finished")
    wait_for(lambda: stage.read.events(UsageRecorded) != [], "the charge")
    assert stage.read.events(UsageRecorded) == [tombstone.usage]
    assert results(stage) == []
    assert stage.document(request) == tombstone


def test_sigterm_finishes_what_is_open_and_loses_nothing(stage: Stage) -> None:
    worker = stage.start_ready(EXTRACTOR)
    for n in range(8):
        stage.ask(uploaded(stage, f"{n}.png", picture(script=SLOW, seed=n)))
    await_results(stage, 1)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    stage.start_ready(EXTRACTOR)
    await_results(stage, 8)
    wait_for(lambda: committed(stage) == 8, "all are finished")
    assert set(Counter(result.result_id for result in results(stage)).values()) == {1}


def test_a_lane_without_offsets_halts_and_names_the_command(stage: Stage, topic_prefix: str) -> None:
    from confluent_kafka.admin import AdminClient

    stage.ask(uploaded(stage, "a.png", picture()))
    admin = AdminClient({"bootstrap.servers": stage.kafka.bootstrap_servers})
    for future in admin.delete_consumer_groups([f"{topic_prefix}ocr-extractor"]).values():
        future.result(10)
    worker = stage.start(EXTRACTOR)
    assert worker.wait() == 3
    assert "skip-to-end" in worker.output()
    assert results(stage) == []
