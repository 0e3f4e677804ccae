"""Which of several ways a part is started: the first that works on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pytest

from services.local.process import ProcessNotReadyError
from tests.support.coverage import Coverage, real_parts_required
from tests.support.downloads import PartUnavailableError
from tests.support.parts import DatabasePart, KafkaPart, ObjectStorePart, PartName

Part = TypeVar("Part", KafkaPart, ObjectStorePart, DatabasePart)


@dataclass(frozen=True)
class Started(Generic[Part]):
    """A running part, and what ends it for good."""

    part: Part
    end: Callable[[], None]


Start = Callable[[], Started[Part]]


def owned(part: Part) -> Started[Part]:
    """A part whose process is killed at the end; its files lie in a directory that goes as well."""
    return Started(part, part.kill)


def start_first(
    name: PartName, ways: Sequence[Start[Part]], coverage: Coverage, stand_in: Start[Part] | None = None
) -> Started[Part] | None:
    """Starts a part in the first way that works, else its stand-in, and notes which and why.

    None when nothing works and nothing stands in. Where real parts are required, a missing one fails the test.
    """
    reasons = []
    for start in ways:
        try:
            return _noted(start(), name, coverage)
        except (PartUnavailableError, ProcessNotReadyError) as error:
            reasons.append(str(error))
    coverage.lacked(name, "; ".join(reason.splitlines()[0] for reason in reasons))
    if real_parts_required():
        pytest.fail(f"OCR_REQUIRE_REAL_PARTS is set and there is no real {name}: {reasons}", pytrace=False)
    return None if stand_in is None else _noted(stand_in(), name, coverage)


def _noted(started: Started[Part], name: PartName, coverage: Coverage) -> Started[Part]:
    coverage.used(name, started.part.kind, started.part.description)
    return started
