"""`ocr-services skip-to-end`: for a group of extractors that was idle longer than its offsets or records were kept."""


def skip_to_end() -> None:
    """Move the stopped extractors to the end of each lane partition that has no valid offset."""
    from services.runtime.lane_offsets import skip_to_end as skip
    from services.runtime.settings import KafkaSettings

    skipped = skip(KafkaSettings())
    for moved in skipped:
        was = "no offset" if moved.committed is None else str(moved.committed)
        print(f"{moved.topic}[{moved.partition}]: {was} -> {moved.end}")
    print(f"{len(skipped)} partitions moved; the sweeps will find what was skipped")
