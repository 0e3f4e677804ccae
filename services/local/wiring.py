"""What the embedded store forgets when it stops, made anew at each start: notifications, queue, CORS rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from services.intake.queue_setup import ensure_queue_notifications
from services.local.object_store import ACCESS_KEY, REGION, SECRET_KEY, EmbeddedObjectStore

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

QUEUE_NAME = "ocr-upload-events"


def notify_queue(store: EmbeddedObjectStore, bucket: str) -> str:
    """Has uploads notified to the store's own queue, as on AWS; returns the queue's URL. Safe to repeat."""
    sqs, s3 = _queue_client(store), store.s3()
    try:
        return ensure_queue_notifications(s3, sqs, bucket, QUEUE_NAME)
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


def _queue_client(store: EmbeddedObjectStore) -> SQSClient:
    return boto3.client(
        "sqs",
        endpoint_url=store.endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(connect_timeout=2, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"}),
    )
