"""The ledger is away while uploads come: how far an account can be overdrawn, and what a top-up brings back."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas.events import BalanceChanged, LedgerHeartbeat, OcrRequest, Origin
from schemas.topics import BALANCES
from services.ledger.audit import audit
from tests.load.ground import PARTITIONS, Ground
from tests.support.scripted_engine import SLOW, picture
from tests.support.stage import Topics, wait_for

_OPENING_TOKENS = 500
_WORDS = 3
_TOKENS_EACH = 50 + _WORDS
_OPEN_RECORDS_MAX = PARTITIONS
"""Uploads in flight: at most one a partition of their lane, with one extractor."""
_SECONDS_MAX = 3_600.0


@dataclass
class OverdraftFigures:
    """What came of it."""

    uploads: int
    staleness_seconds: float
    read_while_away: int = 0
    read_late: int = 0
    """Of these, after admission had to stop: those that were in flight."""
    lowest_balance: int = 0
    refused: int = 0
    read_in_the_end: int = 0
    final_balance: int = 0
    seconds_after_top_up: float = 0.0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.uploads:,} uploads of an account of {_OPENING_TOKENS} tokens, the ledger away, "
            f"admission for {self.staleness_seconds:.0f} s: {self.read_while_away:,} read, {self.read_late} of them in "
            f"flight when it ended (at most {_OPEN_RECORDS_MAX}); balance then {self.lowest_balance:,}",
            f"{self.refused:,} refused once the ledger was back; all {self.read_in_the_end:,} read "
            f"{self.seconds_after_top_up:.0f} s after the top-up, none twice; balance {self.final_balance:,}",
        ]


def run(ground: Ground, *, uploads: int, staleness_seconds: float, page_seconds: float) -> OverdraftFigures:
    """Kills the ledger, asks for the uploads, brings it back, waits for the refusals, tops up, waits for all."""
    system, figures = ground.system, OverdraftFigures(uploads, staleness_seconds)
    stage = system.stage
    stage.environment["OCR_ADMISSION_STALENESS_SECONDS_MAX"] = str(staleness_seconds)
    requests = _uploaded(ground, uploads)
    key = system.account("spender", _OPENING_TOKENS)
    balances = Topics(stage.kafka, (BALANCES,))
    balances.start()
    ledger = system.ledger()
    api = system.api()
    system.extractor(SCRIPTED_SLOW_SECONDS=str(page_seconds))
    wait_for(lambda: _heard_of(balances) > datetime.now(UTC) - timedelta(seconds=3), "fresh heartbeats", 120)
    ledger.signal(signal.SIGKILL)
    ledger.wait()
    ground.ask_for_uploads(requests)
    time.sleep(staleness_seconds)
    _wait_until_nothing_moves(ground)
    heard_until = _heard_of(balances)
    if ground.seen.look().refused:
        figures.problems.append(f"{len(ground.seen.refused)} uploads were refused while nothing was known")

    system.ledger()
    # Slow machines finish what was in flight only now; all others are refused.
    wait_for(
        lambda: len(ground.seen.look().refused) + len(ground.seen.completed) >= uploads,
        "all others are refused",
        _SECONDS_MAX,
    )
    figures.refused, figures.read_while_away = len(ground.seen.refused), len(ground.seen.completed)
    figures.read_late = _made_after(ground, requests, heard_until + timedelta(seconds=staleness_seconds))
    if figures.read_late > _OPEN_RECORDS_MAX:
        figures.problems.append(f"{figures.read_late} uploads were read after admission had to stop")
    if not figures.refused:
        figures.problems.append("all uploads were read while the ledger was away: it bounded nothing")
    figures.lowest_balance = _OPENING_TOKENS - figures.read_while_away * _TOKENS_EACH
    wait_for(lambda: _balance(balances) == figures.lowest_balance, "the overdraft on the topic", 120)

    system.intake(OCR_INTAKE_KAFKA_ENABLED="false", OCR_INTAKE_SWEEP_REQUESTS_PER_SECOND_MAX="1000")
    topped_up_at = time.monotonic()
    top_up = uploads * _TOKENS_EACH
    system.grant("spender", top_up, "top-up")
    wait_for(lambda: len(ground.seen.look().completed) == uploads, "every refused upload is read", _SECONDS_MAX)
    figures.seconds_after_top_up = time.monotonic() - topped_up_at
    figures.final_balance = _OPENING_TOKENS + top_up - uploads * _TOKENS_EACH
    wait_for(lambda: system.balance(api, key) == figures.final_balance, "the balance", 300)
    figures.read_in_the_end = len(ground.seen.look().completed)
    wait_for(lambda: len(ground.seen.look().charged) >= uploads, "usage", 120)
    figures.problems += ground.seen.doubled()
    figures.problems += [f"{each.subject}: {each.detail}" for each in audit(system.engine).findings]
    balances.close()
    return figures


def _uploaded(ground: Ground, count: int) -> list[OcrRequest]:
    stage = ground.system.stage

    def upload(number: int) -> OcrRequest:
        key = f"ocr/spender/{number}.png"
        return stage.request(key, stage.upload(key, picture(_WORDS, SLOW, seed=number)), origin=Origin.NOTIFICATION)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(upload, range(count)))


def _wait_until_nothing_moves(ground: Ground) -> None:
    """What was in flight when admission ended is done with: nothing came for longer than anything in flight takes."""
    seen, since = -1, time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        if (now := len(ground.seen.look().completed)) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 5.0

    wait_for(still, "nothing moves while the ledger is away", _SECONDS_MAX)


def _heard_of(balances: Topics) -> datetime:
    """Up to which moment all usage is posted, as far as the ledger was heard of."""
    latest: dict[int, datetime] = {}
    for beat in balances.events(LedgerHeartbeat):
        latest[beat.partition] = max(beat.posted_until, latest.get(beat.partition, beat.posted_until))
    return min(latest.values()) if len(latest) == PARTITIONS else datetime.min.replace(tzinfo=UTC)


def _balance(balances: Topics) -> int | None:
    told = [event for event in balances.events(BalanceChanged) if event.user_id == "spender"]
    return max(told, key=lambda event: event.version).balance if told else None


def _made_after(ground: Ground, requests: list[OcrRequest], moment: datetime) -> int:
    done = [request for request in requests if request.result_id in ground.seen.completed]
    documents = (ground.system.stage.document(request) for request in done)
    return sum(document is not None and document.created_at > moment for document in documents)
