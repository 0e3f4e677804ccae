"""The examples of docs/object-stores.md do what the page says."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from services.doctor.findings import Level
from services.doctor.notifications import judge
from services.doctor.store import check_cors
from services.intake.notifications import parse
from services.intake.queue_setup import ensure_queue_notifications, notify, permit
from services.local.object_store import EmbeddedObjectStore
from services.runtime.settings import ObjectStoreSettings
from tests.support.documents import ROOT, marked_block
from tests.support.parts import ObjectStorePart

_PAGE = ROOT / "docs/object-stores.md"


def _block(name: str) -> dict[str, Any]:
    block: dict[str, Any] = json.loads(marked_block(_PAGE, name))
    return block


def test_the_notification_is_the_one_that_provision_sets_and_doctor_wants() -> None:
    block = _block("notification")
    (finding,) = judge(block, "uploads")
    assert finding.level is Level.OK
    (queue,) = block["QueueConfigurations"]
    assert notify(block, queue["QueueArn"]) is None


def test_the_queues_policy_is_the_one_that_provision_sets() -> None:
    block = _block("queue policy")
    assert permit(block, block["Statement"][0]["Resource"], "example-ocr-uploads") is None


_FILES = {
    "sns": {
        "topic-policy.json": "sns topic policy",
        "notification.json": "sns notification",
        "queue-policy.json": "sns queue policy",
    },
    "eventbridge": {"pattern.json": "eventbridge pattern", "queue-policy.json": "eventbridge queue policy"},
}
_COMMANDS = {"sns": "sns commands", "eventbridge": "eventbridge commands"}


@pytest.fixture
def emulation(tmp_path: Path) -> Iterator[dict[str, str]]:
    """S3, SQS, SNS and EventBridge, and a shell's environment in which `aws` speaks to them."""
    store = EmbeddedObjectStore(tmp_path / "objects", tmp_path / "emulation.log")
    store.process.environment = dict(store.process.environment or {}) | {
        "SERVICES": "s3,sqs,sns,events,iam,sts",
        "AUTH": "true",
    }
    aws = tmp_path / "aws"
    aws.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.support.aws "$@"\n')
    aws.chmod(0o755)
    store.start()
    yield {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": store.endpoint_url,
        "AWS_DEFAULT_REGION": "eu-central-1",
        # The emulation takes twelve digits for the account.
        "AWS_ACCESS_KEY_ID": "111122223333",
        "AWS_SECRET_ACCESS_KEY": "any",
    }
    store.stop()


@pytest.mark.parametrize("provisioned_before", [False, True])
@pytest.mark.parametrize("way", _FILES)
def test_the_commands_bring_each_upload_into_the_queue_once(
    way: str, provisioned_before: bool, emulation: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("jq") is None:
        pytest.skip("the commands use jq")
    for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, emulation[name])
    for file, block in _FILES[way].items():
        (tmp_path / file).write_text(marked_block(_PAGE, block), "utf-8")
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    s3.create_bucket(Bucket="example-ocr-uploads", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    if provisioned_before:
        ensure_queue_notifications(s3, sqs, "example-ocr-uploads", "ocr-upload-events")

    script = ["bash", "-euo", "pipefail", "-c", marked_block(_PAGE, _COMMANDS[way])]
    done = subprocess.run(script, cwd=tmp_path, env=emulation, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for key in ("ocr/alice/a.png", "elsewhere.png", "ocr/alice/last.png"):
        s3.put_object(Bucket="example-ocr-uploads", Key=key, Body=b"a")

    told: list[str] = []
    while "ocr/alice/last.png" not in told:
        (message,) = sqs.receive_message(QueueUrl=done.stdout.split()[-1], WaitTimeSeconds=20)["Messages"]
        told += [hint.candidate_keys[0] for hint in parse(message["Body"].encode())]
    # What is told twice is so within a moment.
    again = sqs.receive_message(QueueUrl=done.stdout.split()[-1], WaitTimeSeconds=2).get("Messages", [])
    assert (told, again) == (["ocr/alice/a.png", "ocr/alice/last.png"], [])


@pytest.mark.parametrize("way", _FILES)
def test_what_the_commands_send_through_may_send_to_the_queue_and_nobody_else(way: str) -> None:
    commands = marked_block(_PAGE, _COMMANDS[way])
    (statement,) = _block(_FILES[way]["queue-policy.json"])["Statement"]
    source = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    service, name = source.split(":")[2], re.split("[:/]", source)[-1]
    assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sqs:SendMessage")
    assert f"aws {service} {'create-topic' if way == 'sns' else 'put-rule'} --name {name}" in commands
    assert statement["Resource"] in commands


def test_what_the_topic_is_told_is_what_doctor_wants() -> None:
    (finding,) = judge(_block("sns notification"), "example-ocr-uploads")
    assert finding.level is Level.OK


def test_what_ceph_is_told_is_what_doctor_wants_and_a_name_it_takes() -> None:
    block = _block("ceph notification")
    (finding,) = judge(block, "uploads")
    assert finding.level is Level.OK
    topic = block["TopicConfigurations"][0]["TopicArn"].rpartition(":")[2]
    assert re.fullmatch("[A-Za-z0-9_-]+", topic)
    page = _PAGE.read_text("utf-8")
    assert f"OCR_KAFKA_OBJECT_STORE_TOPIC={topic}`" in page
    assert f"create-topic --name {topic} " in page


@pytest.mark.needs_real("object_store")
def test_the_buckets_policy_opens_uploads_and_lists_nothing(object_store: ObjectStorePart) -> None:
    s3 = object_store.s3()
    bucket = f"policy-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    for key in ("ocr/alice/a.png", "elsewhere.png"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"a")
    address = f"{object_store.endpoint_url}/{bucket}"
    seen = ("/ocr/alice/a.png", "/elsewhere.png", "?list-type=2")
    assert [httpx.get(address + path).status_code for path in seen] == [403, 403, 403]
    policy = marked_block(_PAGE, "bucket policy").replace("example-ocr-uploads", bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert [httpx.get(address + path).status_code for path in seen] == [200, 403, 403]


@pytest.mark.needs_real("object_store")  # the embedded one lets everybody in, whatever the rules say
@pytest.mark.parametrize(
    ("origin", "level"), [("https://ocr.example.org", Level.OK), ("https://evil.example", Level.WARN)]
)
def test_the_cors_rule_lets_its_origin_put_and_no_other(
    object_store: ObjectStorePart, origin: str, level: Level
) -> None:
    s3 = object_store.s3()
    bucket = f"cors-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=_block("cors"))  # type: ignore[arg-type]
    settings = ObjectStoreSettings(uploads_bucket=bucket)
    assert check_cors(s3, settings, object_store.endpoint_url, origin).level is level


def test_the_role_allows_what_the_services_call_and_nothing_of_administration() -> None:
    actions: set[str] = set()
    for statement in _block("iam")["Statement"]:
        given = statement["Action"]
        actions |= {given} if isinstance(given, str) else set(given)
    assert {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"} <= actions
    assert {"sqs:ReceiveMessage", "sqs:DeleteMessage"} <= actions
    assert not any("*" in action or "Bucket" in action.replace("ListBucket", "") for action in actions)


_RIGHTS = {
    "create_bucket": "s3:CreateBucket",
    "create_queue": "sqs:CreateQueue",
    "delete_message_batch": "sqs:DeleteMessage",
    "delete_object": "s3:DeleteObject",
    "generate_presigned_url": "s3:PutObject",
    "get_bucket_cors": "s3:GetBucketCORS",
    "get_bucket_notification_configuration": "s3:GetBucketNotification",
    "get_object": "s3:GetObject",
    "get_queue_attributes": "sqs:GetQueueAttributes",
    "get_queue_url": "sqs:GetQueueUrl",
    "head_bucket": "s3:ListBucket",
    "head_object": "s3:GetObject",
    "list_object_versions": "s3:ListBucketVersions",
    "list_objects_v2": "s3:ListBucket",
    "put_bucket_notification_configuration": "s3:PutBucketNotification",
    "put_object": "s3:PutObject",
    "receive_message": "sqs:ReceiveMessage",
    "set_queue_attributes": "sqs:SetQueueAttributes",
}
"""What AWS asks for a call."""


def test_both_roles_together_allow_every_call_in_the_code_and_no_other() -> None:
    called: set[str] = set()
    for source in (ROOT / "services").rglob("*.py"):
        if "local" not in source.parts:
            pattern = r"(?:\b|_)(?:client|s3|sqs)\.(?:get_paginator\(\"(\w+)|(\w+)\()"
            called |= {either or other for either, other in re.findall(pattern, source.read_text("utf-8"))}
    # Calls of another client, and those that ask nothing of AWS.
    called -= {"process", "upload", "close", "get_paginator"}
    allowed: set[str] = set()
    for role in ("iam", "operators"):
        for statement in _block(role)["Statement"]:
            allowed |= set(statement["Action"]) if isinstance(statement["Action"], list) else {statement["Action"]}
    # A version is deleted by the call that deletes an object.
    assert allowed == {_RIGHTS[call] for call in called} | {"s3:DeleteObjectVersion"}


def test_the_pattern_of_eventbridge_names_what_intake_reads() -> None:
    pattern = _block("eventbridge pattern")
    assert pattern["detail-type"] == ["Object Created"]
    assert pattern["detail"]["object"]["key"] == [{"prefix": "ocr/"}]
