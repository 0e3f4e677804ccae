"""Usage events for tests of the ledger."""

from datetime import UTC, datetime

from schemas.events import Price, UsageRecorded

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


def usage(identity: str, user_id: str = "alice", tokens: int = 200, **changes: object) -> UsageRecorded:
    """What one completed result costs its user."""
    fields: dict[str, object] = {
        "usage_id": identity,
        "result_id": identity,
        "user_id": user_id,
        "key": f"ocr/{user_id}/{identity}.png",
        "outcome": "completed",
        "page_units": 1,
        "words": max(tokens - 50, 0),
        "tokens": tokens,
        "price": Price(version="1", tokens_per_page_unit=50, tokens_per_word=1),
        "occurred_at": NOON,
    }
    return UsageRecorded.model_validate(fields | changes)
