"""`ocr-services provision`: topics, the lanes' first offsets, buckets. Safe to repeat; run before the services."""

import typer

from services.runtime.settings import KafkaSettings, ObjectStoreSettings, ProcessSettings


def provision(
    topics: bool = typer.Option(True, help="Create missing topics and partitions."),
    buckets: bool = typer.Option(True, help="Create missing buckets."),
) -> None:
    """Create what is missing of topics, first offsets and buckets."""
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
    print("provisioned")
