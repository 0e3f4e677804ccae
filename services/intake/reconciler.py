"""Finds the uploads whose notification was lost, or whose request was refused: user by user, again and again."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Protocol

from schemas.events import SweepReported
from schemas.identity import is_user_id
from schemas.topics import SWEEPS
from services.intake.pace import CalledOff, GoOn
from services.intake.patience import PAUSE_SECONDS_MAX
from services.intake.recent import RecentRequests
from services.intake.sweep import Tally, UserSweep
from services.intake.top_ups import TopUps
from services.intake.trouble import Trouble
from services.runtime.admission import BalanceTable
from services.runtime.backoff import Backoff
from services.runtime.errors import TransientError
from services.runtime.producing import EventProducer

_log = logging.getLogger(__name__)

UPLOADS_PREFIX = "ocr/"
_IDLE_SECONDS = 0.1
_ATTEMPTS_MAX = 5
_FAILED_USERS_MAX = 3


class Folders(Protocol):
    """The part of the object store that tells which users have uploads."""

    def list_folders(self, bucket: str, prefix: str) -> Iterator[str]:
        """The common prefixes one level below `prefix`, each ending with a slash."""


class Reconciler:
    """Sweeps while this replica leads. One thread."""

    def __init__(
        self,
        folders: Folders,
        uploads_bucket: str,
        sweep_user: UserSweep,
        table: BalanceTable,
        top_ups: TopUps,
        recent: RecentRequests,
        producer: EventProducer,
        *,
        held: Callable[[], bool],
        interval_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folders = folders
        self._uploads_bucket = uploads_bucket
        self._sweep_user = sweep_user
        self._table = table
        self._top_ups = top_ups
        self._recent = recent
        self._producer = producer
        self._held = held
        self._interval_seconds = interval_seconds
        self._now = now
        self._clock = clock
        self.problem = Trouble()

    def run(self, stopping: Callable[[], bool], tick: Callable[[], None]) -> None:
        """Works until `stopping`; leads and pauses as it is told by `held`."""

        def go_on() -> None:
            tick()
            if stopping() or not self._held():
                raise CalledOff

        while not stopping():
            tick()
            if not self._held():
                time.sleep(_IDLE_SECONDS)
                continue
            try:
                self._lead(go_on)
            except CalledOff:
                _log.info("reconciling ends here")
            self.problem.over()

    def _lead(self, go_on: GoOn) -> None:
        """Sweeps until called off.

        Nothing is known of what an earlier leader requested, and nothing need be: asking twice does no harm.
        """
        self._recent.clear()
        self._top_ups.forget()
        backoff, sweep_at = Backoff(seconds_max=PAUSE_SECONDS_MAX), self._clock()
        while True:
            go_on()
            if not self._table.complete:
                time.sleep(_IDLE_SECONDS)
                continue
            try:
                self._serve_top_ups(go_on)
                if self._clock() >= sweep_at:
                    self._sweep_all(go_on)
                    sweep_at = self._clock() + self._interval_seconds
                backoff.succeeded()
                self.problem.over()
                time.sleep(_IDLE_SECONDS)
            except TransientError as error:
                _log.warning(self.problem.met(f"the reconciler waits: {error}"))
                self._sleep(backoff.failed(), go_on)

    def _sweep_all(self, go_on: GoOn) -> None:
        """All users, in the order of their names; those topped up meanwhile go first."""
        started_at, total = self._now(), Tally()
        failed_in_a_row = 0
        for folder in self._folders.list_folders(self._uploads_bucket, UPLOADS_PREFIX):
            go_on()
            self._serve_top_ups(go_on)
            user_id = folder.removeprefix(UPLOADS_PREFIX).rstrip("/")
            if not is_user_id(user_id):
                continue
            try:
                total.add(self._patiently(user_id, go_on))
                failed_in_a_row = 0
            except TransientError as error:
                # One user's trouble must not keep all others waiting; three in a row are the store's.
                failed_in_a_row += 1
                _not_swept(user_id, error)
                if failed_in_a_row >= _FAILED_USERS_MAX:
                    raise
        self._report(started_at, total)

    def _serve_top_ups(self, go_on: GoOn) -> None:
        failed_in_a_row = 0
        for user_id in self._top_ups.due():
            started_at = self._now()
            try:
                tally = self._sweep_user(user_id, go_on, topped_up=True)
            except TransientError as error:
                # As in a sweep of all, which waits behind these.
                self._top_ups.put_back(user_id)
                failed_in_a_row += 1
                _not_swept(user_id, error)
                if failed_in_a_row >= _FAILED_USERS_MAX:
                    raise
                continue
            failed_in_a_row = 0
            self._top_ups.visited(user_id)
            self._report(started_at, tally)

    def _patiently(self, user_id: str, go_on: GoOn) -> Tally:
        backoff = Backoff(seconds_max=PAUSE_SECONDS_MAX)
        for _ in range(_ATTEMPTS_MAX - 1):
            try:
                return self._sweep_user(user_id, go_on)
            except TransientError as error:
                self.problem.met(f"the reconciler waits: {error}")
                self._sleep(backoff.failed(), go_on)
        return self._sweep_user(user_id, go_on)

    def _report(self, started_at: datetime, tally: Tally) -> None:
        report = SweepReported(
            sweep_id=str(uuid.uuid4()),
            started_at=started_at,
            finished_at=self._now(),
            users=tally.users,
            objects=tally.fates.total(),
            requested=tally.fates["requested"],
            passed_over=tally.fates["no_balance"],
        )
        self._producer.send(SWEEPS, None, report, subject=report.sweep_id)
        _log.info("swept", extra={"users": tally.users, **tally.fates})

    def _sleep(self, seconds: float, go_on: GoOn) -> None:
        deadline = self._clock() + seconds
        while (left := deadline - self._clock()) > 0:
            go_on()
            time.sleep(min(left, _IDLE_SECONDS))


def _not_swept(user_id: str, error: TransientError) -> None:
    _log.error("a user was not swept", extra={"user_id": user_id, "reason": str(error)})
