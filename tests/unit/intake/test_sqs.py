"""What several receivers of one queue owe each other."""

import threading
from collections.abc import Callable
from typing import Any, cast

from confluent_kafka import KafkaError, Message, Producer

from services.intake.requesting import UploadRequester
from services.intake.sqs import SqsSource

_WAIT_SECONDS = 10.0
Report = Callable[[KafkaError | None, Message], None]


class Queue:
    """Gives each receiver one message that nobody can decode, named as its thread; notes what is deleted."""

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self._given: set[str] = set()

    def receive_message(self, **_: Any) -> dict[str, Any]:
        name = threading.current_thread().name
        if name in self._given:
            return {}
        self._given.add(name)
        return {"Messages": [{"MessageId": name, "ReceiptHandle": name, "Body": "not JSON"}]}

    def delete_message_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        self.deleted += [entry["ReceiptHandle"] for entry in Entries]
        return {}


class SharedProducer:
    """Has all reports delivered in the flush of "kept", as librdkafka may: that "rejected" is so is heard there."""

    def __init__(self) -> None:
        self._reports: dict[str, Report] = {}
        self._both = threading.Barrier(2)
        self._delivered = threading.Event()

    def produce(self, _topic: str, *, on_delivery: Report, **_: Any) -> None:
        self._reports[threading.current_thread().name] = on_delivery

    def flush(self, _timeout: float) -> int:
        self._both.wait(_WAIT_SECONDS)
        if threading.current_thread().name == "kept":
            rejected = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")
            self._reports["rejected"](rejected, cast(Message, None))
            self._reports["kept"](None, cast(Message, None))
            self._delivered.set()
        assert self._delivered.wait(_WAIT_SECONDS)
        return 0


def test_a_receiver_deletes_nothing_whose_dead_letter_was_rejected_whoever_hears_of_it() -> None:
    queue, producer = Queue(), SharedProducer()
    requester = cast(UploadRequester, type("Requester", (), {"bucket": "uploads"})())
    source = SqsSource(
        cast(Any, queue), "queue", requester, cast(Producer, producer), "events", wait_seconds=0, visibility_seconds=30
    )

    def run() -> None:
        answers = iter([False])  # One batch, and then it stops.
        source.run(lambda: next(answers, True), lambda: None)

    threads = [threading.Thread(target=run, name=name) for name in ("kept", "rejected")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * _WAIT_SECONDS)
    assert queue.deleted == ["kept"]
