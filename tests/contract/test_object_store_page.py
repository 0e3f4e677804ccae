"""The examples of docs/object-stores.md do what the page says."""

import json
import re
import secrets
from typing import Any

import httpx
import pytest

from services.doctor.findings import Level
from services.doctor.notifications import judge
from services.doctor.store import check_cors
from services.intake.queue_setup import notify, permit
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


def test_the_pattern_of_eventbridge_names_what_intake_reads() -> None:
    pattern = _block("eventbridge")
    assert pattern["detail-type"] == ["Object Created"]
    assert pattern["detail"]["object"]["key"] == [{"prefix": "ocr/"}]
