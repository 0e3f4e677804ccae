"""The API's tables, as `migrations/versions/0002_api.py` makes them; 0003 adds indices, 0008 and 0009 a column each."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

from services.runtime.database import UtcDateTime

METADATA = MetaData()

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("key_hash", String(64), nullable=False, unique=True),  # SHA-256, hexadecimal
    Column("user_id", String(64), nullable=False),
    Column("scopes", String(100), nullable=False),  # separated by spaces
    Column("label", String(200), nullable=False),
    Column("hint", String(16), nullable=False),  # the first characters, to tell keys apart
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

RESULTS = Table(
    "results",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("key", String(1024), nullable=False),
    Column("status", String(16), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("code", String(64)),  # of a failure or refusal
    Column("reason", Text),
    Column("file_url", Text),
    Column("language", Text),
    Column("word_count", BigInteger),
    Column("page_count", BigInteger),
    Column("tokens_used", BigInteger),
    Column("asked_at", UtcDateTime),  # when it was last listed as pending, in whole milliseconds as on the wire
    Column("deleted_at", UtcDateTime),
)

RESULT_OFFSETS = Table(
    "result_offsets",
    METADATA,
    Column("topic", String(249), primary_key=True),  # with its prefix
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),  # the first that is not in the list yet
)
