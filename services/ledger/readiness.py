"""Whether the ledger posts: assigned, the database there and of the right revision."""

from sqlalchemy import Engine, text

from services.ledger.consumer import UsageConsumer
from services.ledger.worker import Worker
from services.runtime.database import reading
from services.runtime.errors import DatabaseUnavailable


class Readiness:
    """The check behind `/readyz`."""

    def __init__(self, engine: Engine, consumer: UsageConsumer, worker: Worker) -> None:
        self._engine = engine
        self._consumer = consumer
        self._worker = worker

    def __call__(self) -> str | None:
        """None when ready, else what is missing."""
        if not self._consumer.assigned:
            return "not assigned by the group yet"
        if self._worker.trouble is not None:
            return f"nothing is posted: {self._worker.trouble}"
        try:
            with reading(self._engine) as connection:
                connection.execute(text("SELECT 1"))
        except DatabaseUnavailable as error:
            return f"the database is away: {error}"
        return None
