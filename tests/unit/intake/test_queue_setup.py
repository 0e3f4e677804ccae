"""The policy and the configuration that let a bucket notify a queue."""

from typing import Any

from services.intake.queue_setup import NOTIFICATION_ID, notify, permit

ARN = "arn:aws:sqs:eu-central-1:123456789012:uploads"


def test_leave_to_send_is_for_this_bucket_alone() -> None:
    policy = permit({}, ARN, "uploads")
    assert policy is not None
    (statement,) = policy["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::uploads"}}
    assert statement["Resource"] == ARN


def test_a_policy_keeps_the_statements_of_others_and_is_written_once() -> None:
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": ARN}
    policy = permit({"Version": "2012-10-17", "Statement": [theirs]}, ARN, "uploads")
    assert policy is not None
    assert policy["Statement"][0] == theirs
    assert permit(policy, ARN, "uploads") is None


def test_a_policy_for_another_bucket_is_replaced() -> None:
    first = permit({}, ARN, "before")
    assert first is not None
    second = permit(first, ARN, "uploads")
    assert second is not None
    assert len(second["Statement"]) == 1


def test_a_configuration_keeps_those_of_others_and_is_written_once() -> None:
    current: dict[str, Any] = {
        "TopicConfigurations": [{"Id": "topic", "TopicArn": "arn:aws:sns:::t", "Events": ["s3:ObjectRemoved:*"]}],
        "QueueConfigurations": [{"Id": "theirs", "QueueArn": "arn:aws:sqs:::q", "Events": ["s3:ObjectRemoved:*"]}],
        "EventBridgeConfiguration": {},
    }
    wanted = notify(current, ARN)
    assert wanted is not None
    assert [queue["Id"] for queue in wanted["QueueConfigurations"]] == ["theirs", NOTIFICATION_ID]
    assert wanted["TopicConfigurations"] == current["TopicConfigurations"]
    assert "EventBridgeConfiguration" in wanted
    # AWS answers with a capital.
    wanted["QueueConfigurations"][1]["Filter"]["Key"]["FilterRules"][0]["Name"] = "Prefix"
    assert notify(wanted, ARN) is None


def test_a_configuration_for_another_queue_is_replaced() -> None:
    wanted = notify(notify({}, "arn:aws:sqs:::before") or {}, ARN)
    assert wanted is not None
    assert [queue["QueueArn"] for queue in wanted["QueueConfigurations"]] == [ARN]
