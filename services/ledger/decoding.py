"""Records of `ocr.usage` as postings; what no database could hold is undecodable, not a reason to stop."""

import re

from confluent_kafka import Message

from schemas.cloudevents import Undecodable, decode_as
from schemas.events import UsageRecorded
from services.ledger.posting import Posting, debit

TOKENS_MAX = 10**9
"""Of one usage event: a thousand times the dearest document; so that no sum leaves 64 bits."""

_IDENTIFIER = re.compile(r"[!-~]{1,200}")


def decode_usage(message: Message) -> Posting:
    """The posting of one record.

    Raises:
        Undecodable: it is no usage event, or one that cannot be posted.
    """
    usage = decode_as(UsageRecorded, message.headers(), message.value())
    if _IDENTIFIER.fullmatch(usage.usage_id) is None:
        raise Undecodable("usageId is not 1 to 200 printable ASCII characters")
    if usage.tokens > TOKENS_MAX:
        raise Undecodable(f"tokens is above {TOKENS_MAX}")
    return debit(usage, int(message.partition() or 0), int(message.offset() or 0))
