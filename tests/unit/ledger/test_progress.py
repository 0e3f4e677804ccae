"""Heartbeats claim no more than what was seen."""

from datetime import timedelta

from services.ledger.progress import Progress, posted_until
from tests.support.usage import NOON

_LATER = NOON + timedelta(seconds=60)


def test_a_partition_read_to_its_end_is_posted_until_now() -> None:
    progress = Progress(next_offset=7, posted_until=NOON)
    progress.end_read(7)
    assert posted_until({0: progress}, {0: 7}, _LATER) == {0: _LATER}


def test_a_partition_with_more_to_read_is_posted_until_its_last_record() -> None:
    progress = Progress(next_offset=7, posted_until=NOON)
    progress.end_read(7)
    assert posted_until({0: progress}, {0: 8}, _LATER) == {0: NOON}


def test_a_record_that_is_read_and_not_posted_is_no_end() -> None:
    progress = Progress(next_offset=7, posted_until=NOON)
    progress.record_read()
    progress.end_read(8)
    assert posted_until({0: progress}, {0: 8}, _LATER) == {0: NOON}
    progress.posted(8, NOON + timedelta(seconds=1))
    assert posted_until({0: progress}, {0: 8}, _LATER) == {0: _LATER}


def test_control_records_behind_the_last_record_do_not_hide_the_end() -> None:
    progress = Progress(next_offset=None)
    progress.record_read()
    progress.posted(5, NOON)
    progress.end_read(7)
    assert posted_until({0: progress}, {0: 7}, _LATER) == {0: _LATER}


def test_an_end_seen_before_the_last_record_is_no_end() -> None:
    progress = Progress(next_offset=7)
    progress.end_read(7)
    progress.record_read()
    progress.posted(8, NOON)
    assert posted_until({0: progress}, {0: 8}, _LATER) == {0: NOON}


def test_a_partition_the_broker_did_not_answer_for_is_not_at_its_end() -> None:
    progress = Progress(next_offset=7, posted_until=NOON)
    progress.end_read(7)
    assert posted_until({0: progress}, {}, _LATER) == {0: NOON}


def test_a_broker_that_cannot_be_asked_is_taken_at_the_end_that_was_read() -> None:
    progress = Progress(next_offset=7, posted_until=NOON)
    assert posted_until({0: progress}, {0: None}, _LATER) == {0: NOON}
    progress.end_read(7)
    assert posted_until({0: progress}, {0: None}, _LATER) == {0: _LATER}


def test_nothing_is_said_of_a_partition_of_which_nothing_is_known() -> None:
    assert posted_until({0: Progress(next_offset=None)}, {0: 12}, _LATER) == {}


def test_what_was_posted_once_stays_posted() -> None:
    progress = Progress(next_offset=7)
    progress.end_read(7)
    posted_until({0: progress}, {0: 7}, _LATER)
    progress.record_read()
    assert posted_until({0: progress}, {0: 8}, _LATER + timedelta(seconds=5)) == {0: _LATER}


def test_a_heartbeat_is_due_every_interval_and_at_once_when_the_end_is_reached() -> None:
    progress = Progress(next_offset=7)
    assert progress.is_beat_due(clock=0.0, interval_seconds=5)
    progress.beaten(0.0)
    assert not progress.is_beat_due(clock=1.0, interval_seconds=5)
    progress.end_read(7)
    assert progress.is_beat_due(clock=1.0, interval_seconds=5)
    progress.beaten(1.0)
    assert not progress.is_beat_due(clock=5.9, interval_seconds=5)
    assert progress.is_beat_due(clock=6.0, interval_seconds=5)
