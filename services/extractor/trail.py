"""What a record goes through, as spans: one for its whole stay, and below it one for each stage."""

from dataclasses import replace
from typing import Final

from schemas.cloudevents import Attributes
from services.runtime import tracing
from services.runtime.tracing import Kind, Span

DOWNLOAD: Final = "download"
RECOGNISE: Final = "recognise"
STORE: Final = "store"
PUBLISH: Final = "publish"


class Trail:
    """The spans of one record. Belongs to the loop; where nothing is traced it passes on what the record came with."""

    def __init__(self, topic: str, asked: Attributes) -> None:
        """`topic` without the installation's prefix; `asked` are the attributes of the record."""
        self._asked = asked
        self._stay = tracing.span(
            f"process {topic}",
            kind=Kind.CONSUMER,
            parent=asked.traceparent,
            attributes=tracing.messaging("process", topic, asked.correlation_id) if tracing.is_on() else None,
        )
        self._stage: Span | None = None

    def enter(self, stage: str) -> None:
        """The record enters its next stage, which ends the one before; a stage that is tried again goes on."""
        if self._stage is not None:
            self._stage.end()
        kind = Kind.PRODUCER if stage == PUBLISH else Kind.INTERNAL
        self._stage = tracing.span(stage, kind=kind, parent=self._stay.traceparent)

    def asked(self) -> Attributes:
        """The record's attributes, as those of what it causes are made of them: with the context of its stage."""
        stage = self._stage or self._stay
        return replace(self._asked, traceparent=stage.traceparent)

    def current(self) -> tracing.Current:
        """A block whose log lines have the trace's id."""
        return tracing.Current((self._stage or self._stay).traceparent)

    def set(self, name: str, value: tracing.AttributeValue) -> None:
        """Adds an attribute to the whole stay."""
        self._stay.set(name, value)

    def end(self, outcome: str | None = None) -> None:
        """The record is done with; what ended first counts."""
        if outcome is not None:
            self._stay.set("ocr.outcome", outcome)
        if self._stage is not None:
            self._stage.end()
        self._stay.end()
