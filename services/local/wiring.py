"""S3 notifications of the embedded store: uploads → queue. Made anew at each start, since the store forgets them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from services.local.object_store import ACCESS_KEY, REGION, SECRET_KEY, EmbeddedObjectStore

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

QUEUE_NAME = "ocr-upload-events"
KEY_PREFIX = "ocr/"

_SETTLE_SECONDS_MAX = 10.0


def queue_client(store: EmbeddedObjectStore) -> SQSClient:
    """A client of the store's queue service."""
    return boto3.client(
        "sqs",
        endpoint_url=store.endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(connect_timeout=2, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"}),
    )


def notify_queue(store: EmbeddedObjectStore, bucket: str) -> str:
    """Makes the queue and points the bucket's notifications at it; returns the queue's URL. Safe to repeat.

    It is over when the bucket says so itself: an upload right after it is notified.
    """
    sqs, s3 = queue_client(store), store.s3()
    try:
        queue_url = sqs.create_queue(QueueName=QUEUE_NAME)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
        s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {
                        "QueueArn": attributes["QueueArn"],
                        "Events": ["s3:ObjectCreated:*"],
                        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": KEY_PREFIX}]}},
                    }
                ]
            },
        )
        deadline = time.monotonic() + _SETTLE_SECONDS_MAX
        while not s3.get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the store does not keep the notification settings of {bucket}")
            time.sleep(0.05)
        return queue_url
    finally:
        sqs.close()
        s3.close()


def allow_browsers(store: EmbeddedObjectStore, bucket: str) -> None:
    """Lets the console's page PUT to presigned URLs and read images back, from whatever address it is served."""
    s3 = store.s3()
    try:
        s3.put_bucket_cors(
            Bucket=bucket,
            CORSConfiguration={
                "CORSRules": [
                    {
                        "AllowedMethods": ["PUT", "GET", "HEAD"],
                        "AllowedOrigins": ["*"],
                        "AllowedHeaders": ["*"],
                        "ExposeHeaders": ["ETag"],
                    }
                ]
            },
        )
    finally:
        s3.close()
