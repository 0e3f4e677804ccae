"""What a receiver is sent."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.base import format_time
from schemas.document import Document
from schemas.events import ResultCompleted, ResultFailed, ResultRefused

Reply = ResultCompleted | ResultFailed | ResultRefused

EVENT_TYPES: Mapping[type[Reply], str] = {
    ResultCompleted: "result.completed",
    ResultFailed: "result.failed",
    ResultRefused: "result.refused",
}
"""What a webhook can ask for."""

_NAMESPACE = uuid.UUID("0d3c7c4e-54e1-5d1f-9b0e-8f7f6c9f2b11")
"""Fixed for ever: another would make what comes twice look like two."""


@dataclass(frozen=True)
class Notice:
    """A result as receivers are told of it, whichever they are."""

    result_id: str
    user_id: str
    event_type: str
    occurred_at: datetime
    data: Mapping[str, Any]
    traceparent: str | None = None
    """Of the event that told of it."""

    def delivery_id(self, webhook_id: str) -> str:
        """The same however often the result's event comes: one webhook is told of one result once."""
        return str(uuid.uuid5(_NAMESPACE, f"{webhook_id}/{self.result_id}/{self.event_type}"))

    def body(self, webhook_id: str) -> str:
        """The JSON that is sent; `id` stays the same over all attempts."""
        envelope = {
            "id": self.delivery_id(webhook_id),
            "type": self.event_type,
            "createdAt": format_time(self.occurred_at),
            "data": self.data,
        }
        return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))


class CannotTellAgain(LookupError):
    """What a receiver was told cannot be told again; its text says why."""


def body_of_document(document: Document | None, event_type: str, webhook_id: str) -> str:
    """The JSON that was sent of a result, made again from its document.

    Raises:
        CannotTellAgain: the result is deleted or expired, or it was refused, of which nothing is kept.
    """
    if event_type == EVENT_TYPES[ResultRefused]:
        raise CannotTellAgain("Nothing is kept of a refusal: ask for the file again")
    if document is None:
        raise CannotTellAgain("The result is not kept any more")
    # Where a document lies is no part of what is told.
    reply = document.to_event(document.bucket, document.key)
    if reply is None or EVENT_TYPES[type(reply)] != event_type:
        raise CannotTellAgain("The result was deleted")
    return notice_of(reply).body(webhook_id)


def notice_of(reply: Reply, traceparent: str | None = None) -> Notice:
    """What is told of a result: its fields as the API shows them; `text` is null where it has over 256 KiB."""
    moment = reply.refused_at if isinstance(reply, ResultRefused) else reply.created_at
    event_type = EVENT_TYPES[type(reply)]
    data: dict[str, Any] = {
        "id": reply.result_id,
        "status": event_type.partition(".")[2],
        "key": reply.key,
        "createdAt": format_time(moment),
    }
    if isinstance(reply, ResultCompleted):
        data |= {
            "text": reply.text,
            "fileUrl": reply.file_url,
            "language": reply.language,
            "wordCount": reply.word_count,
            "pageCount": reply.page_count,
            "tokensUsed": reply.tokens_used,
        }
    else:
        data |= {"code": reply.error.code.value, "reason": reply.error.reason}
    return Notice(reply.result_id, reply.user_id, event_type, moment, data, traceparent)
