"""Notifications from an SQS queue, as AWS S3 delivers them directly, through SNS or through EventBridge."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import Producer

from schemas.cloudevents import Undecodable
from schemas.events import Origin
from schemas.identity import ObjectKey
from services.intake.patience import PAUSE_SECONDS_MAX, sleep_unless
from services.intake.requesting import GaveUp, UploadRequester
from services.intake.settings import IntakeSettings
from services.intake.trouble import Trouble
from services.intake.worker import Fate, sort_out
from services.runtime.backoff import Backoff
from services.runtime.dead_letters import DeadLetters
from services.runtime.errors import TransientError
from services.runtime.metrics import NOTIFICATIONS

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_log = logging.getLogger(__name__)
_SOURCE = "sqs"
_BATCH_MAX = 10
_DEAD_LETTER_SECONDS = 5.0
_RESERVE_SECONDS = 3.0
"""Of the visibility timeout, what is kept for deleting."""


class QueueUnavailable(TransientError):
    """The queue service did not answer, or knows no such queue yet."""


def create_sqs_client(settings: IntakeSettings) -> "SQSClient":
    """A boto3 client whose reads outlast a long poll."""
    key, secret = settings.sqs_access_key, settings.sqs_secret_key
    return boto3.session.Session().client(
        "sqs",
        endpoint_url=settings.sqs_endpoint_url,
        region_name=settings.sqs_region,
        aws_access_key_id=key.get_secret_value() if key else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            connect_timeout=5,
            read_timeout=settings.sqs_wait_seconds + 10,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=settings.sqs_receivers,
        ),
    )


class SqsSource:
    """Receives batches of ten, requests what they hint at, deletes them. `run` may run in several threads."""

    def __init__(
        self,
        client: "SQSClient",
        queue_url: str,
        requester: UploadRequester,
        producer: Producer,
        dead_letter_topic: str,
        *,
        wait_seconds: int,
        visibility_seconds: int,
    ) -> None:
        self._client = client
        self._queue_url = queue_url
        self._requester = requester
        self._producer = producer
        self._dead_letter_topic = dead_letter_topic
        self._wait_seconds = wait_seconds
        self._visibility_seconds = visibility_seconds
        self.problem = Trouble("the queue has not answered yet")

    def run(self, stopping: Callable[[], bool], tick: Callable[[], None]) -> None:
        """Works until `stopping`, through any absence of the queue or of the store.

        Raises:
            Halt: a run of undecodable notifications, all of them this thread's.
        """
        # Of this thread alone: whose dead letter was rejected keeps his messages, whoever hears of it.
        dead_letters = DeadLetters(self._producer)
        backoff = Backoff(seconds_max=PAUSE_SECONDS_MAX)
        while not stopping():
            tick()
            try:
                self.take_one_batch(stopping, dead_letters)
                backoff.succeeded()
            except TransientError as error:
                # Nothing was deleted: what was received is seen again when its visibility timeout ends.
                _log.warning("the queue waits", extra={"reason": str(error)})
                sleep_unless(stopping, backoff.failed())

    def take_one_batch(self, stopping: Callable[[], bool], dead_letters: DeadLetters) -> int:
        """Takes up to ten messages through and returns how many.

        1. Receive; from here on the messages are hidden from others for the visibility timeout.
        2. Their requests and dead letters are acknowledged by the broker.
        3. Delete. A crash before repeats the messages: the same requests again, which the extractor recognises.

        Raises:
            TransientError: the queue, the store or the broker is away; the messages will be seen again.
        """
        deadline = time.monotonic() + self._visibility_seconds - _RESERVE_SECONDS
        messages = self._receive()
        keys: dict[str, ObjectKey] = {}
        undecodable = [message for message in messages if not self._sort_out(message, keys, dead_letters)]
        if keys:
            self._requester.request(keys, Origin.NOTIFICATION, lambda: time.monotonic() > deadline or stopping())
        if undecodable and dead_letters.flush(_DEAD_LETTER_SECONDS):
            raise GaveUp("the broker has not acknowledged the dead letters yet")
        if messages:
            self._delete(messages)
        return len(messages)

    def _sort_out(self, message: "MessageTypeDef", keys: dict[str, ObjectKey], dead_letters: DeadLetters) -> bool:
        body = message.get("Body", "").encode("utf-8", "surrogatepass")
        try:
            sorted_out = sort_out(body, self._requester.bucket)
        except Undecodable as reason:
            NOTIFICATIONS.labels(source=_SOURCE, fate=Fate.UNDECODABLE).inc()
            origin = f"sqs/{message.get('MessageId')}"
            dead_letters.add_foreign(self._dead_letter_topic, origin, body, str(reason))
            return False
        dead_letters.decoded()
        NOTIFICATIONS.labels(source=_SOURCE, fate=sorted_out.fate).inc()
        keys.update(sorted_out.keys)
        return True

    def _receive(self) -> "list[MessageTypeDef]":
        try:
            answer = self._client.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=_BATCH_MAX,
                WaitTimeSeconds=self._wait_seconds,
                VisibilityTimeout=self._visibility_seconds,
            )
        except (ClientError, BotoCoreError) as error:
            raise QueueUnavailable(self.problem.met(f"the queue cannot be read: {error}")) from error
        self.problem.over()
        return answer.get("Messages", [])

    def _delete(self, messages: "list[MessageTypeDef]") -> None:
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        try:
            answer = self._client.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)  # type: ignore[arg-type]
        except (ClientError, BotoCoreError) as error:
            raise QueueUnavailable(f"messages were not deleted: {error}") from error
        for failed in answer.get("Failed", []):
            _log.warning("a message was not deleted and comes again", extra={"reason": failed.get("Message")})
