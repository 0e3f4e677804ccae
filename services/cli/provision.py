"""`ocr-services provision`: topics, the lanes' first offsets, buckets. Safe to repeat; run before the services."""

import typer

from services.runtime.settings import KafkaSettings, ObjectStoreSettings, ProcessSettings


def provision(
    topics: bool = typer.Option(True, help="Create missing topics and partitions."),
    buckets: bool = typer.Option(True, help="Create missing buckets."),
    queue: str | None = typer.Option(None, help="Have the uploads bucket notify the SQS queue of this name."),
) -> None:
    """Create what is missing of topics, first offsets and buckets, and of a queue if one is named."""
    from services.runtime.logs import configure_logs
    from services.runtime.object_store import ObjectStore, create_client
    from services.runtime.provisioning import ensure_bucket, provision_topics

    configure_logs("provision", ProcessSettings())
    if topics:
        for name in provision_topics(KafkaSettings()):
            print(f"topic {name}")
    if buckets:
        settings = ObjectStoreSettings()
        store = ObjectStore(create_client(settings))
        for bucket in (settings.uploads_bucket, settings.results_bucket):
            if ensure_bucket(store, bucket):
                print(f"bucket {bucket}")
    if queue is not None:
        print(f"queue {_provision_queue(queue)}")
    print("provisioned")


def _provision_queue(name: str) -> str:
    """The URL of the queue, which intake is then told in `OCR_INTAKE_SQS_QUEUE_URL`."""
    from services.intake.queue_setup import ensure_queue_notifications
    from services.intake.settings import IntakeSettings
    from services.intake.sqs import create_sqs_client
    from services.runtime.object_store import create_client

    store = ObjectStoreSettings()
    return ensure_queue_notifications(
        create_client(store), create_sqs_client(IntakeSettings()), store.uploads_bucket, name
    )
