"""`python -m services.webhooks` on a real broker: from a result event to a receiver, whatever that one does."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from schemas.events import ErrorCode, Event, Failure, ResultCompleted, ResultFailed
from schemas.topics import RESULTS
from services.runtime.database import create_database
from services.runtime.kafka import dead_letters_name
from services.runtime.migrations import migrate_engine
from services.runtime.settings import DatabaseSettings
from services.webhook_registry.log import LoggedDelivery, logged_deliveries, send_again
from tests.integration.webhooks.receiver import Receiver, answer, hang
from tests.support.parts import KafkaPart, ObjectStorePart
from tests.support.stage import Stage, Worker, raise_stage, wait_for
from tests.unit.api.fakes import completed

_QUICK = {
    "OCR_WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
    "OCR_WEBHOOKS_ATTEMPTS_MAX": "3",
    "OCR_WEBHOOKS_BACKOFF_SECONDS_FIRST": "0.2",
    "OCR_WEBHOOKS_POLL_SECONDS": "0.2",
    "OCR_WEBHOOKS_ATTEMPT_SECONDS_MAX": "5",
}


@dataclass
class Installation:
    """A stage with a database, on which webhooks are registered by command and results are published by hand."""

    stage: Stage
    engine: Engine
    environment: dict[str, str]
    receivers: list[Receiver] = field(default_factory=list)

    def start(self, **changes: str) -> Worker:
        """One replica, ready."""
        return self.stage.start_ready("services.webhooks", **(self.environment | changes))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`ocr-services webhooks ...`."""
        return subprocess.run(
            [sys.executable, "-m", "services.cli", "webhooks", *arguments],
            env=os.environ | self.stage.environment | self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def register(self, user: str = "alice") -> tuple[Receiver, str]:
        """A receiver with its secret."""
        receiver = Receiver()
        self.receivers.append(receiver)
        done = self.command("add", user, receiver.url)
        assert done.returncode == 0, done.stderr
        return receiver, done.stdout.strip()

    def publish(self, number: int = 0, user: str = "alice", made_at: datetime | None = None) -> ResultCompleted:
        """A completed result of a user."""
        values = completed("two words").model_dump() | {
            "result_id": f"r{number}",
            "user_id": user,
            "created_at": made_at or datetime.now(UTC),
        }
        event = ResultCompleted.model_validate(values)
        self.send(event)
        return event

    def send(self, event: Event) -> None:
        """Any event on the topic of results."""
        self.stage.produce(RESULTS, "key", event)

    def log(self) -> list[LoggedDelivery]:
        """The delivery log."""
        return list(logged_deliveries(self.engine))


@pytest.fixture
def installation(
    kafka: KafkaPart,
    object_store: ObjectStorePart,
    postgres_url: str,
    topic_prefix: str,
    bucket_prefix: str,
    tmp_path: Path,
) -> Iterator[Installation]:
    stage = raise_stage(kafka, object_store, topic_prefix, bucket_prefix, tmp_path)
    engine = create_database(DatabaseSettings(url=SecretStr(postgres_url)))
    migrate_engine(engine)
    made = Installation(stage, engine, _QUICK | {"OCR_DATABASE_URL": postgres_url})
    yield made
    stage.strike()
    for receiver in made.receivers:
        receiver.close()
    engine.dispose()


def eventually(holds: Callable[[], bool], what: str) -> None:
    wait_for(holds, what, 30)


def abandoned(worker: Worker) -> float:
    """How many deliveries a replica says that it has given up."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=5) as answer:
        told = re.search(r"^ocr_webhooks_abandoned_total (\S+)$", answer.read().decode(), flags=re.MULTILINE)
    assert told
    return float(told[1])


def test_a_result_is_told_signed_and_logged(installation: Installation) -> None:
    receiver, secret = installation.register()
    installation.start()
    event = installation.publish()
    eventually(lambda: len(receiver.requests) == 1, "the delivery")
    _, headers, body = receiver.requests[0]
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["OCR-Signature"])
    assert found
    expected = hmac.new(secret.encode(), f"{found[1]}.".encode() + body, hashlib.sha256).hexdigest()
    assert found[2] == expected
    (told,) = receiver.bodies()
    assert (told["type"], told["data"]["id"], told["data"]["text"]) == ("result.completed", event.result_id, event.text)
    eventually(lambda: [each.status for each in installation.log()] == ["delivered"], "the log")
    shown = installation.command("deliveries").stdout
    assert f"delivered  result.completed  {event.result_id}" in shown
    assert "attempt 1: 200 in " in shown
    assert secret not in shown + installation.command("list").stdout


def test_only_its_users_results_of_the_kinds_it_asked_for_are_told(installation: Installation) -> None:
    receiver, _ = installation.register()
    before = datetime.now(UTC).replace(year=2020)
    installation.start()
    installation.publish(1, "bob")
    installation.publish(2, made_at=before)
    failed = installation.publish(3).model_dump()
    error = Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="torn")
    installation.send(ResultFailed.model_validate(failed | {"result_id": "r4", "error": error}))
    eventually(lambda: len(receiver.requests) == 2, "both deliveries")
    assert {told["data"]["id"] for told in receiver.bodies()} == {"r3", "r4"}


def test_a_receiver_that_fails_at_first_gets_the_same_again(installation: Installation) -> None:
    receiver, _ = installation.register()
    receiver.behave = answer(503)
    installation.start()
    installation.publish()
    eventually(lambda: len(receiver.requests) >= 1, "the first attempt")
    receiver.behave = answer(204)
    eventually(lambda: [each.status for each in installation.log()] == ["delivered"], "the delivery")
    assert len({told["id"] for told in receiver.bodies()}) == 1
    assert len({headers["OCR-Signature"] for _, headers, _ in receiver.requests}) >= 1


def test_a_500_for_ever_ends_and_is_logged(installation: Installation) -> None:
    receiver, _ = installation.register()
    receiver.behave = answer(500)
    worker = installation.start()
    assert abandoned(worker) == 0, "there from the start, so that its first increase is seen"
    installation.publish()
    eventually(lambda: [each.status for each in installation.log()] == ["failed"], "the end")
    assert len(receiver.requests) == 3
    eventually(lambda: abandoned(worker) == 1, "the count of what was given up")
    assert "attempt 3: 500" in installation.command("deliveries", "--status", "failed").stdout
    # Sent again on demand it is the same delivery, with as much patience as at first.
    (ended,) = installation.log()
    _, _, body = receiver.requests[0]
    send_again(installation.engine, ended.id, body.decode(), datetime.now(UTC))
    eventually(lambda: [(each.status, each.attempts) for each in installation.log()] == [("failed", 6)], "the same end")
    assert len({told["id"] for told in receiver.bodies()}) == 1


def test_a_slow_receiver_holds_up_nobody_else(installation: Installation) -> None:
    slow, _ = installation.register("alice")
    quick, _ = installation.register("bob")
    slow.behave = hang(60)
    installation.start()
    for number in range(20):
        installation.publish(number, "alice")
    eventually(lambda: len(slow.requests) == 4, "the slow receiver's share is under way")
    started = datetime.now(UTC)
    installation.publish(100, "bob")
    eventually(lambda: len(quick.requests) == 1, "the quick receiver's delivery")
    assert (datetime.now(UTC) - started).total_seconds() < 4
    assert len(slow.requests) == 4


def test_what_was_due_when_the_process_was_killed_is_delivered_by_the_next(installation: Installation) -> None:
    receiver, _ = installation.register()
    receiver.behave = answer(500)
    patient = {"OCR_WEBHOOKS_ATTEMPTS_MAX": "20", "OCR_WEBHOOKS_BACKOFF_SECONDS_FIRST": "1"}
    first = installation.start(**patient)
    installation.publish(1)
    eventually(lambda: len(receiver.requests) >= 1, "the first attempt")
    first.signal(signal.SIGKILL)
    first.wait()
    installation.publish(2)
    receiver.behave = answer(200)
    installation.start(**patient)
    eventually(lambda: [each.status for each in installation.log()] == ["delivered"] * 2, "both deliveries")


def test_an_orderly_end_lets_what_is_under_way_end(installation: Installation) -> None:
    receiver, _ = installation.register()
    receiver.behave = hang(1.5)
    worker = installation.start()
    installation.publish()
    eventually(lambda: len(receiver.requests) == 1, "the attempt")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert [each.status for each in installation.log()] == ["delivered"]


def test_undecodable_records_go_to_the_dead_letters_and_hold_up_nothing(installation: Installation) -> None:
    receiver, _ = installation.register()
    installation.start()
    installation.stage.produce_raw(RESULTS, "key", b"not json", [])
    installation.publish()
    eventually(lambda: len(receiver.requests) == 1, "the delivery")
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": installation.stage.kafka.bootstrap_servers, "group.id": f"{os.getpid()}-dead-letters"}
    )
    consumer.assign([TopicPartition(dead_letters_name(installation.stage.kafka, RESULTS), 0, OFFSET_BEGINNING)])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert message.value() == b"not json"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "alice", "https://127.0.0.1/"), "allowed"),
        (("add", "alice", "https://10.1.2.3/"), "not a public address"),
        (("add", "alice", "file:///etc/passwd"), "https://host/path"),
        (("add", "../alice", "http://127.0.0.1/"), "no user id"),
        (("add", "alice", "http://127.0.0.1/", "--event", "result.lost"), "event types"),
        (("remove", "nothing"), "no webhook"),
    ],
)
def test_the_command_refuses_what_cannot_be(installation: Installation, arguments: tuple[str, ...], says: str) -> None:
    done = installation.command(*arguments)
    if says == "allowed":  # the network that these tests have allowed
        assert done.returncode == 0
        return
    assert (done.returncode, done.stdout) == (2, "")
    assert says in re.sub(r"\s+", " ", re.sub("[│╭╮╰╯─]", " ", done.stderr))


def test_the_command_removes_what_it_added(installation: Installation) -> None:
    installation.register()
    listed = installation.command("list").stdout
    identity, user = listed.split()[:2]
    assert user == "alice"
    assert installation.command("remove", identity).returncode == 0
    assert installation.command("list").stdout == ""
