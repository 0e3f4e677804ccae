"""What the operator sees: the list of results in SQL, and offsets on a real broker."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine, insert, select

from schemas.events import ErrorCode, Failure
from schemas.topics import REQUESTS, RESULTS, TOPICS, UPLOADS
from services.api.result_figures import count_results
from services.api.results import ResultStatus, list_deleted, list_removed, list_replies
from services.api.tables import RESULTS as RESULT_ROWS
from services.api.topic_lag import BrokerWatch, TopicLag
from services.runtime import groups
from services.runtime.database import reading, transaction
from services.runtime.errors import BrokerUnavailable
from services.runtime.kafka import common_config, consumer_config, create_producer, dead_letters_name, topic_name
from services.runtime.provisioning import provision_topics
from services.runtime.settings import KafkaSettings
from tests.support.parts import KafkaPart
from tests.support.stage import wait_for
from tests.unit.api.fakes import KEY, NOW, USER, completed, document, failed

_MINUTE = timedelta(minutes=1)


@pytest.fixture
def settings(kafka: KafkaPart, topic_prefix: str) -> KafkaSettings:
    made = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        partitions=2,
        embedded=kafka.kind == "embedded",
    )
    provision_topics(made)
    wait_for(lambda: _answers(made), "the broker answers for every partition that it has just made", 60)
    return made


def _answers(settings: KafkaSettings) -> bool:
    """Whether the broker leads every partition: it knows a topic a moment before it does (NOT_LEADER until then)."""
    names = {topic_name(settings, each) for each in TOPICS} | {dead_letters_name(settings, each) for each in TOPICS}
    known = AdminClient(common_config(settings)).list_topics(timeout=30).topics
    if not all(name in known and known[name].partitions for name in names):
        return False
    try:
        BrokerWatch(settings).figures({})
    except BrokerUnavailable:
        return False
    return True


def add(
    engine: Engine,
    status: ResultStatus,
    minutes_ago: float,
    code: str | None = None,
    asked_minutes_ago: float | None = None,
) -> None:
    moment = NOW - minutes_ago * _MINUTE
    with transaction(engine) as connection:
        connection.execute(
            insert(RESULT_ROWS).values(
                id=str(uuid.uuid4()),
                user_id=USER,
                key=KEY,
                status=status.value,
                requested_at=moment,
                finished_at=None if status is ResultStatus.PENDING else moment,
                code=code,
                page_count=3 if status is ResultStatus.COMPLETED else None,
                tokens_used=200 if status is ResultStatus.COMPLETED else None,
                asked_at=None if asked_minutes_ago is None else NOW - asked_minutes_ago * _MINUTE,
            )
        )


def test_results_are_counted_by_minute_status_and_code(engine: Engine) -> None:
    for minutes_ago in (0.1, 0.9, 1.1, 90):
        add(engine, ResultStatus.COMPLETED, minutes_ago)
    add(engine, ResultStatus.FAILED, 1.1, "unreadable_document")
    add(engine, ResultStatus.PENDING, 7)
    add(engine, ResultStatus.PENDING, 2)
    figures = count_results(engine, NOW - 60 * _MINUTE)
    assert [
        (each.minute, each.status, each.code, each.count, each.pages, each.tokens) for each in figures.finished
    ] == [
        (NOW - 2 * _MINUTE, ResultStatus.COMPLETED, None, 1, 3, 200),
        (NOW - 2 * _MINUTE, ResultStatus.FAILED, "unreadable_document", 1, 0, 0),
        (NOW - _MINUTE, ResultStatus.COMPLETED, None, 2, 6, 400),
    ]
    assert (figures.pending, figures.oldest_pending_at) == (2, NOW - 7 * _MINUTE)


@pytest.mark.parametrize("listed", [True, False], ids=["listed before", "not heard of before"])
def test_deleting_a_result_changes_no_figure(engine: Engine, listed: bool) -> None:
    error = Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="because")
    broken = document(error=error).model_copy(update={"result_id": "broken"})
    broken = broken.model_copy(update={"usage": broken.usage.model_copy(update={"tokens": 0})})
    if listed:
        with transaction(engine) as connection:
            failure = failed(ErrorCode.UNREADABLE_DOCUMENT).model_copy(update={"result_id": "broken"})
            list_replies(connection, [completed(), failure])
    for each in (document(), broken):
        list_deleted(engine, each.tombstone(NOW + 30 * _MINUTE))
    found = count_results(engine, NOW - 60 * _MINUTE).finished
    assert {(each.minute, each.status, each.code, each.count, each.pages, each.tokens) for each in found} == {
        (NOW, ResultStatus.COMPLETED, None, 1, 1 if listed else 0, 52),
        (NOW, ResultStatus.FAILED, "unreadable_document" if listed else None, 1, 0, 0),
    }


def test_what_is_removed_without_a_document_counts_as_what_it_was(engine: Engine) -> None:
    add(engine, ResultStatus.COMPLETED, 1)
    add(engine, ResultStatus.FAILED, 1, "unreadable_document")
    add(engine, ResultStatus.REFUSED, 1, "unavailable")
    add(engine, ResultStatus.PENDING, 1)
    with reading(engine) as connection:
        ids = list(connection.execute(select(RESULT_ROWS.c.id)).scalars())
    for each in ids:
        list_removed(engine, USER, each, NOW)
    figures = count_results(engine, NOW - 60 * _MINUTE)
    assert {(each.status, each.code, each.count, each.pages, each.tokens) for each in figures.finished} == {
        (ResultStatus.COMPLETED, None, 1, 3, 200),
        (ResultStatus.FAILED, "unreadable_document", 1, 0, 0),
        (ResultStatus.REFUSED, None, 1, 0, 0),
    }
    assert figures.pending == 0


def test_what_is_pending_again_waits_since_it_was_asked_for_again(engine: Engine) -> None:
    add(engine, ResultStatus.PENDING, 600, asked_minutes_ago=3)
    assert count_results(engine, NOW).oldest_pending_at == NOW - 3 * _MINUTE


def test_an_installation_without_results_has_figures(engine: Engine) -> None:
    figures = count_results(engine, NOW)
    assert (list(figures.finished), figures.pending, figures.oldest_pending_at) == ([], 0, None)


def produce(producer: Producer, topic: str, partition: int, count: int) -> None:
    for _ in range(count):
        producer.produce(topic, b"{}", partition=partition)
    assert producer.flush(30) == 0


def lag_on(watch: BrokerWatch, topic: str, listed: dict[int, int] | None = None) -> dict[int, int]:
    found = [each for each in watch.figures(listed or {}).lag if each.topic == topic]
    return {each.partition: each.lag for each in only(found).partitions}


def only(found: list[TopicLag]) -> TopicLag:
    (one,) = found
    return one


def test_lag_is_what_the_group_has_not_committed(settings: KafkaSettings) -> None:
    watch, producer = BrokerWatch(settings), create_producer(settings, linger_ms=0)
    uploads = topic_name(settings, UPLOADS)
    assert lag_on(watch, uploads) == {0: 0, 1: 0}
    produce(producer, uploads, 1, 5)
    assert lag_on(watch, uploads) == {0: 0, 1: 5}
    consumer = Consumer(consumer_config(settings, group=groups.EXTRACTOR, offset_reset="error"))
    consumer.commit(offsets=[TopicPartition(uploads, 1, 3)], asynchronous=False)
    consumer.close()
    assert lag_on(watch, uploads) == {0: 0, 1: 2}
    assert lag_on(watch, topic_name(settings, REQUESTS)) == {0: 0, 1: 0}


def test_the_list_of_results_is_not_behind_by_the_end_of_a_transaction(settings: KafkaSettings) -> None:
    producer = create_producer(settings, linger_ms=0, transactional_id="figures")
    producer.init_transactions(30)
    producer.begin_transaction()
    results = topic_name(settings, RESULTS)
    for _ in range(3):
        producer.produce(results, b"{}", partition=0)
    producer.commit_transaction(30)
    watch = BrokerWatch(settings)
    # The broker writes a transaction's end a moment after it has acknowledged it.
    wait_for(lambda: lag_on(watch, results, {0: 1})[0] == 2, "the end of the transaction")
    assert lag_on(watch, results, {0: 3})[0] == 0


def test_a_transaction_that_nobody_ends_is_seen_for_as_long_as_it_is_open(settings: KafkaSettings) -> None:
    if settings.embedded:
        pytest.skip("the embedded broker reports ends too low to judge by")
    results, now = topic_name(settings, RESULTS), 100.0
    watch = BrokerWatch(settings, clock=lambda: now)
    produce(create_producer(settings, linger_ms=0), results, 0, 1)
    assert watch.figures({}).open_seconds == {}
    producer = create_producer(settings, linger_ms=0, transactional_id="figures")
    producer.init_transactions(30)
    producer.begin_transaction()
    produce(producer, results, 0, 1)
    assert watch.figures({}).open_seconds == {(results, 0): 0}
    now = 130.0
    assert watch.figures({}).open_seconds == {(results, 0): 30}
    producer.abort_transaction(30)
    wait_for(lambda: watch.figures({}).open_seconds == {(results, 0): 0}, "its end")


def test_the_webhooks_lag_is_shown_once_they_read(settings: KafkaSettings) -> None:
    results = topic_name(settings, RESULTS)
    produce(create_producer(settings, linger_ms=0), results, 0, 4)
    consumer = Consumer(consumer_config(settings, group=groups.WEBHOOKS, offset_reset="earliest"))
    consumer.commit(offsets=[TopicPartition(results, 0, 1)], asynchronous=False)
    consumer.close()
    (shown,) = [each for each in BrokerWatch(settings).figures({}).lag if each.topic == results]
    assert (shown.group.removeprefix(settings.topic_prefix), shown.partitions[0].lag) == ("ocr-webhooks", 2)


def test_a_group_that_never_read_is_not_shown_as_behind(settings: KafkaSettings) -> None:
    topics = {each.topic for each in BrokerWatch(settings).figures({}).lag}
    assert topics == {topic_name(settings, REQUESTS), topic_name(settings, UPLOADS)}


def test_dead_letters_are_counted_by_the_topic_they_come_from(settings: KafkaSettings) -> None:
    watch = BrokerWatch(settings)
    assert watch.figures({}).dead_letters == {}
    produce(create_producer(settings, linger_ms=0), dead_letters_name(settings, UPLOADS), 0, 2)
    assert watch.figures({}).dead_letters == {"ocr.uploads": 2}


@pytest.mark.needs_real("kafka")
def test_the_ends_of_transactions_are_no_dead_letters_and_what_the_broker_deleted_is_none(
    settings: KafkaSettings,
) -> None:
    watch, topic = BrokerWatch(settings), dead_letters_name(settings, UPLOADS)
    producer = Producer(common_config(settings) | {"transactional.id": f"{settings.topic_prefix}letters"})
    producer.init_transactions(30)
    for end in (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        produce(producer, topic, 0, 1)
        end(30)
    assert watch.figures({}).dead_letters == {"ocr.uploads": 2}
    assert BrokerWatch(settings).figures({}).dead_letters == {"ocr.uploads": 2}
    admin = AdminClient(common_config(settings))
    admin.delete_records([TopicPartition(topic, 0, 1)])[TopicPartition(topic, 0)].result(30)
    assert watch.figures({}).dead_letters == {"ocr.uploads": 1}


def test_a_broker_that_is_away_is_a_transient_error() -> None:
    watch = BrokerWatch(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(BrokerUnavailable):
        watch.figures({})
