"""When a record is tried again, and when it is given up."""

from services.extractor.retrying import Retries
from tests.unit.extractor.samples import job


def _nothing() -> None:
    """What is tried again."""


def test_tries_are_spaced_further_and_further_up_to_a_bound() -> None:
    retries = Retries(refuse_after_seconds=100, jitter=lambda: 1.0)
    record = job()
    gaps = []
    now = 0.0
    for _ in range(10):
        assert retries.later(record, _nothing, now)
        step = next(due for due in (x / 10 for x in range(1, 200)) if retries.take_due(now + due))
        gaps.append(round(step, 1))
        now += step
    assert gaps[:4] == [0.2, 0.4, 0.8, 1.6]
    assert gaps[-1] == 10.0


def test_a_record_that_fails_while_others_pass_is_given_up() -> None:
    retries = Retries(refuse_after_seconds=100)
    record = job()
    assert retries.later(record, _nothing, 0.0)
    record.others_passed = 3
    assert retries.later(record, _nothing, 99.0)
    assert not retries.later(record, _nothing, 101.0)


def test_no_record_is_given_up_while_the_dependency_is_away_for_all() -> None:
    retries = Retries(refuse_after_seconds=100)
    record = job()
    assert all(retries.later(record, _nothing, now) for now in range(0, 10_000, 100))


def test_waiting_for_admission_counts_as_no_failure() -> None:
    retries = Retries(refuse_after_seconds=100)
    record = job()
    retries.wait(record, _nothing, 0.0, 1.0)
    assert record.failing_since is None
    assert retries.take_due(1.0) == [_nothing]


def test_a_discarded_record_is_not_tried_again() -> None:
    retries = Retries(refuse_after_seconds=100)
    record = job()
    retries.later(record, _nothing, 0.0)
    retries.discard(record.number)
    assert retries.take_due(1000.0) == []
