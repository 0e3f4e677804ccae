"""The queue that a bucket notifies, set up once or again at every start: on AWS, and on the embedded store."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

NOTIFICATION_ID = "ocr-services-uploads"
_STATEMENT_ID = "OcrServicesUploads"
_PREFIX = "ocr/"
_RETENTION_SECONDS = 4 * 24 * 60 * 60

Configuration = dict[str, Any]


def ensure_queue_notifications(s3: "S3Client", sqs: "SQSClient", bucket: str, queue_name: str) -> str:
    """Has `bucket` notify the queue of every object created under `ocr/`, and returns the queue's URL.

    Safe to repeat; what others set up on bucket and queue is kept. The order matters on AWS, which tries the
    queue out when the notification is set: 1. the queue, 2. leave for the bucket to send to it, 3. the notification.

    Raises:
        botocore.exceptions.ClientError: the bucket does not exist, or a step is not permitted.
    """
    queue_url = _ensure_queue(sqs, queue_name)
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn", "Policy"])["Attributes"]
    queue_arn = attributes["QueueArn"]
    policy = permit(json.loads(attributes.get("Policy") or "{}"), queue_arn, bucket)
    if policy is not None:
        sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy)})
    current = dict(s3.get_bucket_notification_configuration(Bucket=bucket))
    current.pop("ResponseMetadata", None)
    wanted = notify(current, queue_arn)
    if wanted is not None:
        s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration=wanted,  # type: ignore[arg-type]
        )
    return queue_url


def permit(policy: Configuration, queue_arn: str, bucket: str) -> Configuration | None:
    """The queue's policy with leave for the bucket to send; None when it has that already."""
    statement = {
        "Sid": _STATEMENT_ID,
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}},
    }
    statements = policy.get("Statement", [])
    if statement in statements:
        return None
    others = [other for other in statements if other.get("Sid") != _STATEMENT_ID]
    return {"Version": "2012-10-17", **policy, "Statement": [*others, statement]}


def notify(configuration: Configuration, queue_arn: str) -> Configuration | None:
    """The bucket's configuration with our queue in it; None when it is there already."""
    ours = {
        "Id": NOTIFICATION_ID,
        "QueueArn": queue_arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": _PREFIX}]}},
    }
    queues = configuration.get("QueueConfigurations", [])
    if any(_is_same(queue, ours) for queue in queues):
        return None
    others = [queue for queue in queues if queue.get("Id") != NOTIFICATION_ID]
    return {**configuration, "QueueConfigurations": [*others, ours]}


def _is_same(queue: Configuration, ours: Configuration) -> bool:
    rules = queue.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    # AWS answers `Prefix` where `prefix` was put.
    filters = {(rule["Name"].lower(), rule["Value"]) for rule in rules}
    return (
        queue.get("Id") == NOTIFICATION_ID
        and queue.get("QueueArn") == ours["QueueArn"]
        and queue.get("Events") == ours["Events"]
        and filters == {("prefix", _PREFIX)}
    )


def _ensure_queue(sqs: "SQSClient", queue_name: str) -> str:
    try:
        return sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        # A queue created by another process at this moment has the same attributes, which SQS takes for the same wish.
        attributes = {"MessageRetentionPeriod": str(_RETENTION_SECONDS)}
        return sqs.create_queue(QueueName=queue_name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]
