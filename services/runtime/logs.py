"""Structured logs: one JSON object a line on standard error, with the ids of what is being worked on."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from services.runtime.settings import ProcessSettings

_context: ContextVar[dict[str, str] | None] = ContextVar("log_context", default=None)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


@contextmanager
def log_context(**ids: str | None) -> Iterator[None]:
    """Adds ids (request id, correlation id, ...) to every line logged inside."""
    token = _context.set((_context.get() or {}) | {name: value for name, value in ids.items() if value})
    try:
        yield
    finally:
        _context.reset(token)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what was passed as `extra` becomes fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _context.get() or {}
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """A record for a person's terminal."""

    def __init__(self, service: str) -> None:
        super().__init__(f"%(asctime)s {service} %(levelname)s %(name)s: %(message)s%(fields)s")

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, its fields behind it."""
        fields = (_context.get() or {}) | {k: v for k, v in vars(record).items() if k not in _STANDARD}
        record.fields = "".join(f" {name}={value}" for name, value in fields.items() if name != "fields")
        return super().format(record)


def configure_logs(service: str, settings: ProcessSettings) -> None:
    """Sends everything through one handler; libraries that log at INFO for every call are quietened."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service) if settings.log_format == "json" else TextFormatter(service))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for noisy in ("botocore", "boto3", "urllib3", "s3transfer", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
