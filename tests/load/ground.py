"""What each load runs on: a system of its own, what it publishes, and what its extractor read and when."""

from __future__ import annotations

import os
import platform
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from schemas.cloudevents import decode
from schemas.events import OcrRequest, ResultCompleted, ResultFailed, ResultRefused, UsageRecorded
from schemas.topics import UPLOADS, upload_key
from services.runtime.kafka import consumer_config, create_consumer
from tests.support.stage import Topics
from tests.support.system import System

PARTITIONS = 8
"""Twice as many as one user's flood can fill."""


@dataclass
class Seen:
    """Results and usage as a downstream consumer sees them; each event is decoded once."""

    topics: Topics
    completed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    charged: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    users: dict[str, str] = field(default_factory=dict)
    """Of each terminal result."""
    _next: int = 0

    def look(self) -> Seen:
        """Takes in what came since; returns itself."""
        while self._next < len(self.topics.messages):
            message = self.topics.messages[self._next]
            self._next += 1
            event = decode(message.headers(), message.value()).data
            if isinstance(event, UsageRecorded):
                self.charged[event.usage_id] += 1
                self.tokens += event.tokens
            elif isinstance(event, ResultCompleted | ResultFailed):
                (self.completed if isinstance(event, ResultCompleted) else self.failed)[event.result_id] += 1
                self.users[event.result_id] = event.user_id
            elif isinstance(event, ResultRefused):
                self.refused[event.result_id] += 1
        return self

    def completed_of(self, user_id: str) -> int:
        """Completed results of a user."""
        return sum(self.users[result_id] == user_id for result_id in self.look().completed)

    def doubled(self) -> list[str]:
        """Results and charges that came twice."""
        self.look()
        return [
            f"{what} {identity} came {count} times"
            for what, counter in (("result", self.completed + self.failed), ("usage", self.charged))
            for identity, count in counter.items()
            if count > 1
        ]


@dataclass
class Ground:
    """A system, and what is to be seen of it."""

    system: System
    directory: Path
    seen: Seen = field(init=False)

    def __post_init__(self) -> None:
        """Begins to see."""
        self.seen = Seen(self.system.stage.read)
        self.system.stage.environment["SCRIPTED_PAGES_LOG"] = str(self.pages_log)

    @property
    def pages_log(self) -> Path:
        """Where the scripted engine notes each page that it begins."""
        return self.directory / "pages.log"

    def pages(self) -> list[tuple[float, int]]:
        """The pages begun so far: time in seconds, and words."""
        if not self.pages_log.exists():
            return []
        lines = self.pages_log.read_text().splitlines()
        return [(float(at), int(words)) for at, words in (line.split() for line in lines if line.count(" ") == 1)]

    def ask_for_uploads(self, requests: list[OcrRequest]) -> set[int]:
        """Requests uploads on their lane; returns the partitions that they went to."""
        stage, partitions = self.system.stage, set[int]()
        for request in requests:
            stage.queue(UPLOADS, upload_key(request.user_id, request.key), request, partitions.add)
        stage.flush()
        return partitions

    def consumer(self) -> Consumer:
        """A consumer that joins nothing, for asking the broker."""
        return create_consumer(consumer_config(self.system.stage.kafka, group="load", offset_reset="earliest"))

    @staticmethod
    def place(topic: str, partition: int = 0) -> TopicPartition:
        """A partition."""
        return TopicPartition(topic, partition)


def machine() -> str:
    """What the figures were taken on."""
    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load averages {loads}"
