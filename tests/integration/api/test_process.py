"""`POST /api/ocr/process` on real Kafka, S3 and SQL."""

from __future__ import annotations

from datetime import datetime

from tests.integration.api.fake_extractor import FILE_URL_BASE, completing
from tests.integration.api.stack import Replica, Stack


def test_a_post_is_answered_as_the_contract_says_field_by_field(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("Extracted text from the image"), "filename.jpg")
    answer = api.post(user, key)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"id", "text", "key", "fileUrl", "createdAt", "wordCount", "tokensUsed", "language"}
    assert body["text"] == "Extracted text from the image"
    assert body["key"] == key
    assert body["fileUrl"] == FILE_URL_BASE + key
    assert body["wordCount"] == 5
    assert body["tokensUsed"] == 55
    assert body["language"] == "en"
    assert body["createdAt"].endswith("Z")
    assert datetime.fromisoformat(body["createdAt"]).tzinfo is not None
