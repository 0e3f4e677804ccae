"""A broker that is not up yet is waited for; one that refuses is not."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.topics import RESULTS
from services.runtime import provisioning
from services.runtime.provisioning import provision_topics
from services.runtime.settings import KafkaSettings

Arrange = Callable[..., "Broker"]


class Broker:
    """An admin client of a broker that fails as arranged, each error once, in order."""

    def __init__(self, listing: list[int], creating: list[int]) -> None:
        self._listing, self._creating = listing, creating
        self.topics: dict[str, Any] = {}
        self.tries = 0

    def list_topics(self, timeout: float) -> Any:  # noqa: ARG002
        self._fail(self._listing)
        return SimpleNamespace(topics=dict(self.topics))

    def create_topics(self, new: list[Any], **_: object) -> dict[str, "Future[None]"]:
        """Makes what is not there; an error is that of the first topic, which the broker then has made or not."""
        futures: dict[str, Future[None]] = {}
        for spec in new:
            future = futures[spec.topic] = Future()
            try:
                self._fail(self._creating if not futures.keys() - {spec.topic} else [])
                if spec.topic in self.topics:
                    raise KafkaException(KafkaError(KafkaError.TOPIC_ALREADY_EXISTS))
                self.topics[spec.topic] = SimpleNamespace(partitions=dict.fromkeys(range(spec.num_partitions)))
                future.set_result(None)
            except KafkaException as error:
                future.set_exception(error)
        return futures

    def _fail(self, arranged: list[int]) -> None:
        self.tries += 1
        if arranged:
            raise KafkaException(KafkaError(arranged.pop(0)))


@pytest.fixture
def arrange(monkeypatch: pytest.MonkeyPatch) -> Arrange:
    """Puts such a broker in place of the real one, at a clock that goes on by what is slept."""

    def made(listing: list[int] | None = None, creating: list[int] | None = None) -> Broker:
        broker = Broker(listing or [], creating or [])
        monkeypatch.setattr(provisioning, "create_admin", lambda _settings: broker)
        return broker

    seconds = [time.monotonic()]
    clock = SimpleNamespace(monotonic=lambda: seconds[0], sleep=lambda slept: seconds.append(seconds.pop() + slept))
    monkeypatch.setattr(provisioning, "time", clock)
    return made


def test_a_broker_that_times_out_while_it_starts_is_asked_again(arrange: Arrange) -> None:
    broker = arrange(
        [KafkaError._TRANSPORT, KafkaError._TIMED_OUT],
        [KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT, KafkaError.NOT_CONTROLLER],
    )
    created = provision_topics(KafkaSettings(), [RESULTS])
    assert created == [RESULTS.name, RESULTS.dead_letters]
    assert set(broker.topics) == set(created)


def test_a_broker_that_refuses_is_asked_once(arrange: Arrange) -> None:
    broker = arrange(creating=[KafkaError.TOPIC_AUTHORIZATION_FAILED])
    with pytest.raises(KafkaException, match=RESULTS.name):
        provision_topics(KafkaSettings(), [RESULTS])
    assert broker.tries == len(("listing", RESULTS.name, RESULTS.dead_letters))


def test_patience_ends(arrange: Arrange) -> None:
    broker = arrange([KafkaError._TRANSPORT] * 10_000)
    with pytest.raises(KafkaException, match="_TRANSPORT"):
        provision_topics(KafkaSettings(), [RESULTS])
    assert 30 < broker.tries < 1_000
