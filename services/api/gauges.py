"""What Prometheus is told of lag, dead letters, open transactions: asked every few seconds, not at each scrape."""

import logging
import threading
from collections.abc import Callable, Mapping

from sqlalchemy import Engine

from schemas.topics import RESULTS
from services.api.result_list import read_offsets
from services.api.topic_lag import BrokerFigures, BrokerWatch
from services.runtime.errors import TransientError
from services.runtime.kafka import topic_name
from services.runtime.metrics import BALANCES_AGE, CONSUMER_LAG, DEAD_LETTER_RECORDS, OPEN_TRANSACTION_AGE
from services.runtime.settings import KafkaSettings

_log = logging.getLogger(__name__)

_PERIOD_SECONDS = 15.0
_CLOSE_SECONDS_MAX = 10.0


class BrokerGauges:
    """Asks in a thread of its own. Every replica of the API does, and says the same."""

    def __init__(
        self,
        kafka: KafkaSettings,
        engine: Engine,
        balances_age_seconds: Callable[[], float],
        period_seconds: float = _PERIOD_SECONDS,
    ) -> None:
        topic, watch = topic_name(kafka, RESULTS), BrokerWatch(kafka)
        self._ask: Callable[[], BrokerFigures] = lambda: watch.figures(read_offsets(engine, topic))
        self._period_seconds = period_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)
        BALANCES_AGE.set_function(balances_age_seconds)

    def start(self) -> None:
        """Begins to ask."""
        self._thread.start()

    def close(self) -> None:
        """Stops asking."""
        self._stopping.set()
        self._thread.join(_CLOSE_SECONDS_MAX)

    def _run(self) -> None:
        known: Mapping[str, int] = {}
        while not self._stopping.wait(self._period_seconds):
            try:
                known = tell(self._ask(), known)
            except TransientError as error:
                _log.warning("the gauges stand still: %s", error)


def tell(figures: BrokerFigures, known: Mapping[str, int]) -> Mapping[str, int]:
    """Sets the gauges; `known` are the dead letters told before, of which those that are gone become 0."""
    for each in figures.lag:
        for partition in each.partitions:
            CONSUMER_LAG.labels(each.group, each.topic, str(partition.partition)).set(partition.lag)
    for (topic, number), seconds in figures.open_seconds.items():
        OPEN_TRANSACTION_AGE.labels(topic, str(number)).set(seconds)
    counts = dict.fromkeys(known, 0) | dict(figures.dead_letters)
    for topic, records in counts.items():
        DEAD_LETTER_RECORDS.labels(topic).set(records)
    return counts
