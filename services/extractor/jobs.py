"""An open record: a request that is being worked on, and how far it is."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Message

from schemas.cloudevents import Attributes, Undecodable, decode
from schemas.events import Author, OcrRequest
from schemas.identity import InvalidKey, parse_key, result_id
from services.extractor.lanes import Lane
from services.extractor.trail import Trail

Partition = tuple[str, int]
"""Topic name on the broker, and partition number."""

DEATHS_MAX = 3
"""What kills the recogniser this often is unreadable."""


@dataclass
class Job:
    """One record between its arrival and the commit of its offset. Belongs to the parent's loop alone."""

    number: int
    lane: Lane
    request: OcrRequest
    author: Author
    path: Path
    trail: Trail
    media_type: str | None = None
    page_units: tuple[int, ...] = ()
    pages: list[dict[str, Any]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    opened: bool = False
    deaths: int = 0
    attempts: int = 0
    failing_since: float | None = None
    others_passed: int = 0

    @property
    def partition(self) -> Partition:
        """Where its record lies."""
        return (self.author.topic, self.author.partition)

    @property
    def text(self) -> str:
        """What was read so far, pages joined by a form feed."""
        return "\f".join(self.texts)

    @property
    def complete(self) -> bool:
        """Whether every page was read."""
        return self.opened and len(self.pages) == len(self.page_units)


def decode_request(message: Message, bucket: str) -> tuple[OcrRequest, Attributes, Author]:
    """The request in a record, checked against the identities it claims.

    Raises:
        Undecodable: no request; or one for another bucket, with a key of another form or user, or with an id
            that is not its content's: whoever can write to the topic must not read or charge at will.
    """
    decoded = decode(message.headers(), message.value())
    request = decoded.data
    if not isinstance(request, OcrRequest):
        raise Undecodable(f"expected a request, not {decoded.attributes.type}")
    if request.bucket != bucket:
        raise Undecodable("a request for another bucket")
    try:
        owner = parse_key(request.key).user_id
    except InvalidKey as error:
        raise Undecodable("a request with an invalid key") from error
    if owner != request.user_id:
        raise Undecodable("a request for an object of another user")
    if request.result_id != result_id(request.bucket, request.key, request.etag):
        raise Undecodable("a request whose id is not that of its content")
    author = Author(
        event_id=decoded.attributes.id,
        topic=str(message.topic()),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
    )
    return request, decoded.attributes, author
