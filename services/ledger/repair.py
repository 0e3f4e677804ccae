"""Grants that a restored database lacks, posted again from `ledger.entries`.

Debits come back by themselves, since `ocr.usage` is read again from the restored offsets; of grants only the
entries topic knows.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from sqlalchemy import Engine

from schemas.cloudevents import Undecodable, decode_as
from schemas.events import EntryPosted
from schemas.topics import ENTRIES
from services.ledger.grants import GrantConflict, InvalidGrant, grant
from services.ledger.hashing import event_hash
from services.ledger.posting import user_account
from services.runtime.errors import BrokerUnavailable
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings

_log = logging.getLogger(__name__)

_SILENCE_SECONDS_MAX = 30.0


@dataclass
class Repair:
    """What a repair did: grants posted again, in tokens and in number, and entries that it refused, with the reason."""

    granted: int = 0
    tokens: int = 0
    refused: list[str] = field(default_factory=list)


def repair_grants(engine: Engine, published: Iterable[EntryPosted]) -> Repair:
    """Posts every published grant that the ledger lacks, with its own key and time. Safe to repeat.

    Raises:
        TransientError: database or broker are away; repeat it.
    """
    result = Repair()
    for entry in published:
        if entry.kind != "grant":
            continue
        if event_hash(entry) != entry.entry_hash:
            result.refused.append(f"entry {entry.entry_id} is not as it was when it was hashed")
            continue
        amount = sum(line.amount for line in entry.lines if line.account == user_account(entry.user_id))
        try:
            granted = grant(engine, entry.user_id, amount, entry.reference, now=entry.posted_at, note=entry.note)
        except (GrantConflict, InvalidGrant) as error:
            result.refused.append(f"entry {entry.entry_id}: {error}")
            continue
        if granted.is_new:
            result.granted += 1
            result.tokens += amount
    return result


def published_entries(settings: KafkaSettings) -> Iterator[EntryPosted]:
    """Every entry on `ledger.entries`, from its beginning to its end as it is now.

    Raises:
        BrokerUnavailable: the broker does not answer, or stopped answering.
    """
    config = consumer_config(settings, group="ocr-ledger-repair", offset_reset="earliest")
    consumer = create_consumer(config | {"enable.partition.eof": True})
    try:
        yield from _read(consumer, topic_name(settings, ENTRIES))
    except KafkaException as error:
        raise BrokerUnavailable(str(error)) from error
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str) -> Iterator[EntryPosted]:
    metadata = consumer.list_topics(topic, timeout=_SILENCE_SECONDS_MAX).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    pending = set(metadata.partitions)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in pending])
    while pending:
        message = consumer.poll(_SILENCE_SECONDS_MAX)
        if message is None:
            raise BrokerUnavailable(f"nothing came from {topic} for {_SILENCE_SECONDS_MAX:.0f} s")
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            pending.discard(int(message.partition() or 0))
            continue
        try:
            yield decode_as(EntryPosted, message.headers(), message.value())
        except Undecodable as problem:
            _log.warning("undecodable entry passed over", extra={"offset": message.offset(), "reason": str(problem)})
