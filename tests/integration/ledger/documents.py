"""Documents as an extractor leaves them."""

from schemas.document import Document, DocumentStatus
from schemas.events import Author, UsageRecorded
from tests.support.usage import NOON

AUTHOR = Author(event_id="event-1", topic="ocr.uploads", partition=2, offset=40)


def document_of(charge: UsageRecorded, author: Author = AUTHOR) -> Document:
    """The document of a completed result that costs this."""
    return Document(
        result_id=charge.result_id,
        user_id=charge.user_id,
        bucket="uploads",
        key=charge.key,
        etag="e1",
        status=DocumentStatus.COMPLETED,
        author=author,
        created_at=NOON,
        usage=charge,
        file_url="http://files/x",
        text="a",
        language="en",
        word_count=1,
    )
