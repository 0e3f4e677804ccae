"""Intake, extractor and ledger, the real classes of them, against a plain dictionary of what was uploaded and granted.

Hypothesis plays clients and misfortune: uploads, overwrites, notifications in any order and more than once, POSTs,
replicas that die or sleep at the worst points, rebalances, lost answers, a database that is away, usage that comes
again, grants. At the end everything is healed, and what is there must be what the dictionary says.

The short form runs some dozens of plays. `OCR_MODEL_PLAYS=5000` runs as many as you like.

That the model can see is shown by mutants: `test_a_seeded_fault_is_found` breaks one rule of "Who publishes" at a time,
and the same plays must fail.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import SecretStr
from sqlalchemy import select

from schemas.cloudevents import decode
from schemas.events import ResultCompleted, ResultFailed, UsageRecorded
from schemas.identity import result_id
from schemas.topics import REQUESTS, RESULTS, UPLOADS, USAGE
from services.extractor import steps
from services.extractor.worker import Worker
from services.ledger.audit import audit
from services.ledger.grants import grant
from services.ledger.offsets import clear_offsets
from services.ledger.posting import user_account
from services.ledger.tables import accounts, entries
from services.runtime import groups
from services.runtime.database import create_database, reading
from services.runtime.migrations import migrate
from services.runtime.settings import DatabaseSettings
from tests.faults.model.recogniser import content, text_of
from tests.faults.model.world import LANES, POINTS, RESULTS_BUCKET, UPLOADS_BUCKET, Replica, World

_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A disk that is busy would make each of the many small transactions wait."""
_SHORT_PLAYS = 25
PLAYS = int(os.environ.get("OCR_MODEL_PLAYS", _SHORT_PLAYS))
_STEPS = 40
_ROUNDS_TO_SETTLE_MAX = 60
_USERS = ("alice", "bob")
_KEYS = st.sampled_from([f"ocr/{user}/{name}.png" for user in _USERS for name in "ab"])
_GROUPS = st.sampled_from([groups.EXTRACTOR, groups.LEDGER])


@dataclass(frozen=True)
class Content:
    """What was uploaded under a key."""

    etag: str
    words: int

    @property
    def tokens(self) -> int:
        """What its result costs; what cannot be read costs nothing."""
        return 50 + self.words if self.words else 0


@dataclass
class Dictionary:
    """All that the model knows."""

    contents: dict[str, list[Content]] = field(default_factory=dict)
    """By key; the last one lies there."""
    grants: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By idempotency key."""


class Play(RuleBasedStateMachine):
    """One play, from an empty bucket to the final check."""

    template: Path
    """An empty, migrated database."""

    @initialize(extractors=st.integers(1, 3), ledgers=st.integers(1, 2))
    def begin(self, extractors: int, ledgers: int) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ocr-model-", dir=_MEMORY))
        database = self.directory / "ledger.db"
        shutil.copy(self.template, database)
        self.world = World(self.directory, database)
        self.known = Dictionary()
        self.notifications: list[str] = []
        self.replayed: Counter[str] = Counter()
        self.nonce = 0
        for group, number in ((groups.EXTRACTOR, extractors), (groups.LEDGER, ledgers)):
            for _ in range(number):
                self.world.start(group)

    # Clients

    @rule(key=_KEYS, words=st.integers(0, 4))
    def upload(self, key: str, words: int) -> None:
        """Over what lies there, if something does."""
        self.nonce += 1
        etag = self.world.store.put(UPLOADS_BUCKET, key, content(words, self.nonce), "image/png")
        self.known.contents.setdefault(key, []).append(Content(etag, words))
        self.notifications.append(key)

    @rule(key=_KEYS)
    def post(self, key: str) -> None:
        if key in self.known.contents:
            self.world.ask(key, self.known.contents[key][-1].etag)

    @rule(user=st.sampled_from(_USERS), amount=st.integers(1, 300), number=st.integers(1, 5))
    def give(self, user: str, amount: int, number: int) -> None:
        """A key that was used before repeats its grant."""
        user, amount = self.known.grants.setdefault(f"grant-{number}", (user, amount))
        grant(self.world.engine, user, amount, f"grant-{number}", now=self.world.now())

    # Intake

    @precondition(lambda self: self.notifications)
    @rule(data=st.data(), again=st.booleans())
    def notify(self, data: st.DataObject, again: bool) -> None:
        """In any order, and more than once."""
        index = data.draw(st.integers(0, len(self.notifications) - 1))
        self.world.notify(self.notifications[index])
        if not again:
            self.notifications.pop(index)

    @rule(user=st.sampled_from(_USERS))
    def sweep(self, user: str) -> None:
        self.world.sweep(user)

    # Work, and what happens to those at work

    @rule(group=_GROUPS, which=st.integers(0, 2), rounds=st.integers(1, 12))
    def work(self, group: str, which: int, rounds: int) -> None:
        if replica := self._one(group, which):
            self.world.run(replica, rounds)

    @rule(which=st.integers(0, 2), point=st.sampled_from(POINTS), kind=st.sampled_from(["dies", "sleeps"]))
    def meet(self, which: int, point: str, kind: str) -> None:
        """The next time that this extractor passes the point."""
        if replica := self._one(groups.EXTRACTOR, which):
            replica.trouble = (point, kind)

    @rule(which=st.integers(0, 2), point=st.sampled_from(POINTS[:2]))
    def lose_an_answer(self, which: int, point: str) -> None:
        if replica := self._one(groups.EXTRACTOR, which):
            replica.trouble = (point, "is not answered")

    @rule(which=st.integers(0, 2), point=st.sampled_from(POINTS[2:]))
    def lose_a_transaction(self, which: int, point: str) -> None:
        """Its producer is gone, and nobody says whether the transaction stands: at the one point it does."""
        if replica := self._one(groups.EXTRACTOR, which):
            replica.trouble = (point, "is of unknown fate")

    @rule(which=st.integers(0, 2), kind=st.sampled_from(["dies", "sleeps"]))
    def meet_after_posting(self, which: int, kind: str) -> None:
        if replica := self._one(groups.LEDGER, which):
            replica.trouble = ("after the posting", kind)

    @rule()
    def sessions_end(self) -> None:
        self.world.end_sessions()

    @rule(group=_GROUPS)
    def scale_up(self, group: str) -> None:
        if len(self.world.replicas[group]) < 3:
            self.world.start(group)

    @rule(group=_GROUPS, which=st.integers(0, 2))
    def scale_down(self, group: str, which: int) -> None:
        if len(self.world.replicas[group]) > 1 and (replica := self._one(group, which)):
            self.world.stop(replica)

    @rule(postings=st.integers(1, 3))
    def lose_the_database(self, postings: int) -> None:
        self.world.database_failures = postings

    # Replays

    @rule(topic=st.sampled_from([REQUESTS.name, UPLOADS.name, USAGE.name]), which=st.integers(0, 100))
    def replay(self, topic: str, which: int) -> None:
        """A record comes again, as when a producer did not hear that it was taken."""
        if records := self.world.broker.records(topic):
            record = records[which % len(records)]
            self.world.broker.append_at(record.at, record.key(), record.value(), record.stored_headers)
            event = decode(record.headers(), record.value()).data
            if isinstance(event, UsageRecorded):
                self.replayed[event.usage_id] += 1

    @rule()
    def read_all_usage_again(self) -> None:
        """As after the offsets in SQL were lost."""
        clear_offsets(self.world.engine)

    # What must hold

    @invariant()
    def nothing_is_published_twice(self) -> None:
        results = Counter(each.result_id for each in self._results())
        usage = Counter(each.usage_id for each in self._usage())
        assert max(results.values(), default=1) == 1, f"a result twice: {results}"
        assert max((usage - self.replayed).values(), default=1) == 1, f"a charge twice: {usage}"

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self._settle()
            self._check_results()
            self._check_ledger()
        finally:
            self.world.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def _settle(self) -> None:
        """Heals everything, gives everybody enough, and lets all of them work until nothing is left."""
        world = self.world
        world.database_failures = 0
        for group in world.replicas:
            for replica in world.replicas[group]:
                replica.trouble = None
        world.end_sessions()
        for user in _USERS:
            self.known.grants[f"settling-{user}"] = (user, 100_000)
            grant(world.engine, user, 100_000, f"settling-{user}", now=world.now())
        self._run_all()
        for user in _USERS:
            world.sweep(user)
        for _ in range(_ROUNDS_TO_SETTLE_MAX):
            self._run_all()
            if not world.broker.lag(groups.EXTRACTOR, LANES):
                break
        assert world.broker.lag(groups.EXTRACTOR, LANES) == 0, "records of the lanes wait for ever"
        for _ in range(_ROUNDS_TO_SETTLE_MAX):
            self._run_all()

    def _run_all(self) -> None:
        for replicas in self.world.replicas.values():
            for replica in list(replicas):
                self.world.run(replica, 3)

    def _check_results(self) -> None:
        self.nothing_is_published_twice()
        results = {each.result_id: each for each in self._results()}
        uploaded = {
            result_id(UPLOADS_BUCKET, key, each.etag): each
            for key, all_of in self.known.contents.items()
            for each in all_of
        }
        assert results.keys() <= uploaded.keys(), "a result of nothing"
        for key, all_of in self.known.contents.items():
            identity = result_id(UPLOADS_BUCKET, key, all_of[-1].etag)
            assert identity in results, f"{key} has no result"
        for identity, result in results.items():
            words = uploaded[identity].words
            if words:
                assert isinstance(result, ResultCompleted)
                assert (result.text, result.tokens_used) == (text_of(words), uploaded[identity].tokens)
            else:
                assert isinstance(result, ResultFailed)
            assert (RESULTS_BUCKET, f"ocr/{result.user_id}/{identity}.json") in self.world.store.objects

    def _check_ledger(self) -> None:
        tokens: Counter[str] = Counter()
        for user, amount in self.known.grants.values():
            tokens[user] += amount
        results = self._results()
        for result in results:
            tokens[result.user_id] -= getattr(result, "tokens_used", 0)
        with reading(self.world.engine) as connection:
            posted = Counter(connection.scalars(select(entries.c.result_id).where(entries.c.kind == "usage")))
            balances = {row.id: row.balance for row in connection.execute(select(accounts.c.id, accounts.c.balance))}
        assert posted == Counter(each.result_id for each in results), "a result is charged once"
        assert {user: balances[user_account(user)] for user in _USERS} == tokens
        assert {user: self.world.balances.balance(user) for user in _USERS} == tokens, "as the ledger publishes them"
        assert audit(self.world.engine).findings == []

    def _one(self, group: str, which: int) -> Replica | None:
        replicas = self.world.replicas[group]
        return replicas[which % len(replicas)] if replicas else None

    def _results(self) -> list[ResultCompleted | ResultFailed]:
        events = [decode(each.headers(), each.value()).data for each in self.world.broker.records(RESULTS.name)]
        return [each for each in events if isinstance(each, ResultCompleted | ResultFailed)]

    def _usage(self) -> list[UsageRecorded]:
        events = [decode(each.headers(), each.value()).data for each in self.world.broker.records(USAGE.name)]
        return [each for each in events if isinstance(each, UsageRecorded)]


@pytest.fixture(scope="module", autouse=True)
def _template(tmp_path_factory: pytest.TempPathFactory) -> None:
    Play.template = tmp_path_factory.mktemp("model") / "empty.db"
    migrate(f"sqlite:///{Play.template}")
    create_database(DatabaseSettings(url=SecretStr(f"sqlite:///{Play.template}"))).dispose()


def _settings(plays: int, **more: Any) -> settings:
    return settings(
        max_examples=plays,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        **more,
    )


@pytest.mark.timeout(0 if PLAYS > _SHORT_PLAYS else 600)
def test_what_is_there_is_what_the_dictionary_says() -> None:
    # The short form plays the same each time: it guards a change. The long form looks for what is not known yet.
    run_state_machine_as_test(Play, settings=_settings(PLAYS, derandomize=PLAYS <= _SHORT_PLAYS))


def _publish_without_a_document(_documents: object, draft: Any) -> steps.Publish:
    return steps.Publish(draft)


def _publish_whoever_is_author(_documents: object, found: Any, _request: object, _author: object) -> steps.Publish:
    return steps.Publish(found.document)


def _keep_what_was_revoked(_worker: Worker, _partition: object) -> None:
    """What a replica that slept and rejoined would then publish."""


_MUTANTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "published before its document": ("services.extractor.steps.conclude", _publish_without_a_document),
    "published by who is not author": ("services.extractor.steps._settle", _publish_whoever_is_author),
}


@pytest.mark.parametrize("mutant", _MUTANTS)
def test_a_seeded_fault_is_found(mutant: str) -> None:
    name, broken = _MUTANTS[mutant]
    with patch(name, broken), pytest.raises(AssertionError):
        run_state_machine_as_test(Play, settings=_settings(200, phases=[Phase.generate], derandomize=True))


def _sleep_in_the_middle_of_publishing() -> None:
    """By hand: an extractor sleeps past its session with its transaction about to begin, and rejoins."""
    play = Play()
    play.begin(extractors=2, ledgers=1)
    for number in range(4):
        play.upload(f"ocr/alice/{number}.png", 3)
        play.post(f"ocr/alice/{number}.png")
    for which in (0, 1, 0, 1):
        play.meet(which, "before the transaction", "sleeps")
        play.work(groups.EXTRACTOR, which, 12)
        play.nothing_is_published_twice()
    play.teardown()


def test_what_was_revoked_in_sleep_is_not_published_again() -> None:
    _sleep_in_the_middle_of_publishing()


def test_a_replica_that_keeps_what_was_revoked_is_found() -> None:
    with (
        patch("services.extractor.worker.Worker._dropped", _keep_what_was_revoked),
        pytest.raises(AssertionError, match="twice"),
    ):
        _sleep_in_the_middle_of_publishing()


def _lose_the_answer_to_a_commit() -> None:
    """By hand: the transaction stands, the producer does not know, and its membership ends."""
    play = Play()
    play.begin(extractors=1, ledgers=1)
    for number in range(4):
        play.upload(f"ocr/alice/{number}.png", 3)
        play.post(f"ocr/alice/{number}.png")
    for _ in range(4):
        play.lose_a_transaction(0, "after the transaction")
        play.work(groups.EXTRACTOR, 0, 12)
        play.nothing_is_published_twice()
    play.teardown()


def test_what_may_be_committed_is_not_set_back() -> None:
    _lose_the_answer_to_a_commit()


def test_a_replica_that_sets_back_what_may_be_committed_is_found() -> None:
    with (
        patch("services.extractor.publication.Publication.partitions", []),
        pytest.raises(AssertionError, match="twice"),
    ):
        _lose_the_answer_to_a_commit()
