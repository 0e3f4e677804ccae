"""The parts do what the project relies on; a stand-in that does not is told apart by its kind."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping

import psycopg
import pytest
from botocore.exceptions import ClientError
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from tests.support.parts import DatabasePart, KafkaPart, ObjectStorePart
from tests.support.topics import create_topics

_WAIT_SECONDS = 15.0


def _read(bootstrap_servers: str, topic: str, count: int, seconds_max: float = _WAIT_SECONDS) -> list[bytes]:
    """The first `count` committed values of partition 0, or fewer when time runs out."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": f"{topic}.reader", "isolation.level": "read_committed"}
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    try:
        values: list[bytes] = []
        while len(values) < count:
            message: Message | None = consumer.poll(seconds_max)
            if message is None:
                break
            assert message.error() is None
            value = message.value()
            assert isinstance(value, bytes)
            values.append(value)
        return values
    finally:
        consumer.close()


def test_an_aborted_transaction_is_not_read(kafka: KafkaPart, topic_prefix: str) -> None:
    if kafka.kind == "embedded":
        pytest.skip("the embedded broker shows aborted messages to read_committed consumers")
    topic = f"{topic_prefix}transactions"
    create_topics(kafka.bootstrap_servers, {topic: 1})
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{topic_prefix}producer"})
    producer.init_transactions(_WAIT_SECONDS)
    producer.begin_transaction()
    producer.produce(topic, b"aborted")
    producer.flush(_WAIT_SECONDS)
    producer.abort_transaction(_WAIT_SECONDS)
    producer.begin_transaction()
    producer.produce(topic, b"committed")
    producer.commit_transaction(_WAIT_SECONDS)
    assert _read(kafka.bootstrap_servers, topic, 1) == [b"committed"]


def test_messages_survive_the_death_of_the_broker(kafka: KafkaPart, topic_prefix: str) -> None:
    if kafka.kind == "embedded":
        pytest.skip("the embedded broker forgets")
    topic = f"{topic_prefix}durable"
    create_topics(kafka.bootstrap_servers, {topic: 1})
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "acks": "all"})
    producer.produce(topic, b"kept")
    assert producer.flush(_WAIT_SECONDS) == 0
    kafka.kill()
    kafka.start()
    assert _read(kafka.bootstrap_servers, topic, 1) == [b"kept"]


def test_the_second_conditional_create_is_refused(object_store: ObjectStorePart, bucket_prefix: str) -> None:
    s3 = object_store.s3()
    s3.create_bucket(Bucket=f"{bucket_prefix}results")
    s3.put_object(Bucket=f"{bucket_prefix}results", Key="ocr/u1/a.json", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=f"{bucket_prefix}results", Key="ocr/u1/a.json", Body=b"second", IfNoneMatch="*")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert s3.get_object(Bucket=f"{bucket_prefix}results", Key="ocr/u1/a.json")["Body"].read() == b"first"


def _put(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    request = urllib.request.Request(url, data=body, method="PUT", headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=_WAIT_SECONDS) as response:
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_presigned_upload_is_bound_to_its_type_and_length(object_store: ObjectStorePart, bucket_prefix: str) -> None:
    if object_store.kind == "embedded":
        pytest.skip("the embedded store does not verify all that a signature covers")
    s3 = object_store.s3()
    s3.create_bucket(Bucket=f"{bucket_prefix}uploads")
    url = s3.generate_presigned_url(
        "put_object",
        Params={
            "Bucket": f"{bucket_prefix}uploads",
            "Key": "ocr/u1/a.png",
            "ContentType": "image/png",
            "ContentLength": 4,
        },
        ExpiresIn=60,
    )
    assert _put(url, b"1234", {"Content-Type": "text/html"}) == 403
    assert _put(url, b"12345", {"Content-Type": "image/png"}) == 403
    assert _put(url.replace("u1", "u2"), b"1234", {"Content-Type": "image/png"}) == 403
    assert _put(url, b"1234", {"Content-Type": "image/png"}) == 200
    assert s3.head_object(Bucket=f"{bucket_prefix}uploads", Key="ocr/u1/a.png")["ContentType"] == "image/png"


def test_an_upload_is_notified_in_kafka(kafka: KafkaPart, notifying_store: ObjectStorePart, bucket_prefix: str) -> None:
    topic = notifying_store.event_topic
    assert topic is not None
    s3 = notifying_store.s3()
    s3.create_bucket(Bucket=f"{bucket_prefix}uploads")
    s3.put_object(Bucket=f"{bucket_prefix}uploads", Key="ocr/u1/a b+c.png", Body=b"1234")
    keys = [
        record["s3"]["object"]["key"]
        for value in _read(kafka.bootstrap_servers, topic, 2)  # a test event of the gateway's start comes first
        for record in json.loads(value).get("Records") or []
        if record["s3"]["bucket"]["name"] == f"{bucket_prefix}uploads"
    ]
    assert [urllib.parse.unquote(key) for key in keys] == ["ocr/u1/a b+c.png"]


def test_every_test_gets_an_empty_database(postgres_url: str) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", "", 1)) as connection:
        connection.execute("CREATE TABLE entries (amount bigint)")
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (1,)


def test_a_committed_row_survives_the_death_of_the_database(postgres: DatabasePart, postgres_url: str) -> None:
    url = postgres_url.replace("+psycopg", "", 1)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE entries (amount bigint)")
        connection.execute("INSERT INTO entries VALUES (200)")
    postgres.kill()
    postgres.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT amount FROM entries").fetchone() == (200,)


def test_the_queue_beside_the_embedded_store_hears_of_an_upload(sqs_store: ObjectStorePart, bucket_prefix: str) -> None:
    s3, sqs = sqs_store.s3(), sqs_store.sqs()
    queue_url = sqs.create_queue(QueueName=f"{bucket_prefix}events")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.create_bucket(Bucket=f"{bucket_prefix}uploads")
    s3.put_bucket_notification_configuration(
        Bucket=f"{bucket_prefix}uploads",
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": queue_arn, "Events": ["s3:ObjectCreated:*"]}]},
    )
    s3.put_object(Bucket=f"{bucket_prefix}uploads", Key="ocr/u1/a.png", Body=b"1234")
    bodies = []
    for _ in range(3):  # the store may send a test event first
        answer = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=3, MaxNumberOfMessages=10)
        bodies += [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        if any("Records" in body for body in bodies):
            break
    keys = [record["s3"]["object"]["key"] for body in bodies for record in body.get("Records", [])]
    assert keys == ["ocr/u1/a.png"]
