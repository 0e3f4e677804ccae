"""`ocr-services dlq`, as a person and as a script use it."""

import json
from collections.abc import Callable

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from typer.testing import CliRunner, Result

from schemas.topics import UPLOADS
from services.cli.__main__ import app
from services.runtime.dead_letters import DeadLetters
from services.runtime.kafka import consumer_config, create_consumer, create_producer, topic_name
from services.runtime.provisioning import provision_topics
from services.runtime.settings import KafkaSettings
from tests.support.parts import KafkaPart

Run = Callable[..., Result]

_LARGE_BYTES = UPLOADS.message_bytes_max - 200


@pytest.fixture
def settings(kafka: KafkaPart, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    monkeypatch.setenv("OCR_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("OCR_KAFKA_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("OCR_KAFKA_PARTITIONS", "1")
    made = KafkaSettings()
    provision_topics(made, [UPLOADS])
    # The command looks at every topic that there is.
    monkeypatch.setattr("schemas.topics.TOPICS", (UPLOADS,))
    return made


@pytest.fixture
def run(settings: KafkaSettings) -> Run:  # noqa: ARG001
    return lambda *arguments: CliRunner().invoke(app, ["dlq", *arguments])


@pytest.fixture
def letters(settings: KafkaSettings) -> list[str]:
    """Two undecodable records, the second of which became a dead letter twice; returns their ids."""
    name, producer = topic_name(settings, UPLOADS), create_producer(settings, linger_ms=0)
    for number in range(2):
        producer.produce(name, key=f"key-{number}", value=f"body {number}".encode(), headers=[("ce_id", f"e{number}")])
    producer.flush(10)
    dead = DeadLetters(producer)
    records = _records(settings, 2)
    for record in [*records, records[1]]:
        dead.add(record, f"reason {record.offset()}")
    dead.keep(10)
    return [f"{name}/0/0", f"{name}/0/1"]


def _records(settings: KafkaSettings, count: int) -> list[Message]:
    consumer: Consumer = create_consumer(consumer_config(settings, group="look", offset_reset="earliest"))
    consumer.assign([TopicPartition(topic_name(settings, UPLOADS), 0, OFFSET_BEGINNING)])
    found: list[Message] = consumer.consume(count, 20)
    consumer.close()
    assert len(found) == count
    return found


def test_each_dead_letter_is_listed_once_with_its_reason(run: Run, letters: list[str]) -> None:
    told = run("list", "--topic", "ocr.uploads", "--json")
    assert [(each["id"], each["reason"]) for each in map(json.loads, told.stdout.splitlines())] == [
        (letters[0], "reason 0"),
        (letters[1], "reason 1"),
    ]
    assert run("list").stdout.endswith("2 dead letters\n")


def test_one_is_shown_with_headers_and_body(run: Run, letters: list[str]) -> None:
    shown = json.loads(run("show", letters[1]).stdout)
    assert (shown["body"], shown["headers"], shown["reason"]) == ("body 1", {"ce_id": "e1"}, "reason 1")
    assert run("show", "elsewhere/0/9").exit_code == 1


def test_a_replayed_record_is_on_its_topic_again_as_it_came(
    run: Run, letters: list[str], settings: KafkaSettings
) -> None:
    assert run("replay", letters[1]).stdout == "1 records sent again\n"
    again = _records(settings, 3)[2]
    assert (again.key(), again.value(), again.headers()) == (b"key-1", b"body 1", [("ce_id", b"e1")])
    assert run("replay", "--all").stdout == "2 records sent again\n"
    assert len(_records(settings, 5)) == 5


@pytest.fixture
def cut_letter(settings: KafkaSettings, letters: list[str]) -> str:
    """A third dead letter, of a record that was as large as its topic takes; returns its id."""
    name, producer = topic_name(settings, UPLOADS), create_producer(settings, linger_ms=0)
    producer.produce(name, value=b"x" * _LARGE_BYTES)
    producer.flush(10)
    dead = DeadLetters(producer)
    dead.add(_records(settings, 3)[2], "too large to be anything")
    dead.keep(10)
    return f"{name}/0/{len(letters)}"


def test_a_letter_that_is_cut_is_shown_as_such(run: Run, cut_letter: str) -> None:
    shown = json.loads(run("show", cut_letter).stdout)
    assert (shown["truncated_from_bytes"], shown["body"][:3]) == (_LARGE_BYTES, "xxx")
    told = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert [each["truncated_from_bytes"] for each in told] == [None, None, _LARGE_BYTES]


def test_a_letter_that_is_cut_is_not_replayed_and_the_others_are(
    run: Run, cut_letter: str, settings: KafkaSettings
) -> None:
    answer = run("replay", "--all")
    assert (answer.exit_code, answer.stdout) == (1, "2 records sent again\n")
    assert f"{cut_letter} is not sent: it is cut" in answer.stderr
    assert f"of the {_LARGE_BYTES} bytes of its value" in answer.stderr
    assert [each.value() for each in _records(settings, 5)[3:]] == [b"body 0", b"body 1"]
    assert run("replay", cut_letter).exit_code == 1


def test_what_is_to_be_replayed_has_to_be_said(run: Run, letters: list[str]) -> None:
    assert run("replay").exit_code == 2
    assert run("replay", letters[0], "--all").exit_code == 2
    assert run("list", "--topic", "nowhere").exit_code == 2
