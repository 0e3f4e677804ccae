"""What is held of a partition, when it is to be paused and read on, and that one record of it is out at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.extractor.jobs import Partition
from services.extractor.read_ahead import ReadAhead

A: Partition = ("requests", 0)
B: Partition = ("uploads", 3)


@pytest.fixture
def ahead() -> ReadAhead[str]:
    return ReadAhead(4)


def test_one_record_of_a_partition_is_out_at_a_time(ahead: ReadAhead[str]) -> None:
    for record in ("a1", "a2"):
        ahead.add(A, record)
    ahead.add(B, "b1")

    assert sorted(ahead.take()) == ["a1", "b1"]
    assert ahead.take() == []
    assert not ahead.is_ready
    ahead.finished(A)
    assert ahead.is_ready
    assert ahead.take() == ["a2"]


def test_a_full_partition_is_stopped_once_and_read_on_when_half_is_gone(ahead: ReadAhead[str]) -> None:
    assert [ahead.add(A, f"a{number}") for number in range(6)] == [False, False, False, True, False, False]

    read_on = []
    for _ in range(6):
        ahead.take()
        read_on.append(ahead.finished(A))

    assert read_on == [False, False, False, True, False, False]


def test_what_is_dropped_is_gone_and_its_partition_begins_anew(ahead: ReadAhead[str]) -> None:
    for number in range(5):
        ahead.add(A, f"a{number}")
    assert ahead.take() == ["a0"]

    ahead.drop(A)

    assert ahead.take() == []
    ahead.add(A, "a0")
    assert ahead.take() == ["a0"]
    assert ahead.finished(A) is False


def test_dropping_what_waits_leaves_what_is_out(ahead: ReadAhead[str]) -> None:
    ahead.add(A, "a1")
    ahead.take()
    ahead.add(A, "a2")
    ahead.add(B, "b1")

    ahead.drop_waiting()

    assert ahead.take() == []
    ahead.finished(A)
    ahead.add(A, "a2")
    assert ahead.take() == ["a2"]


@given(st.lists(st.sampled_from(["add", "take", "finish"]), max_size=200))
def test_records_come_in_order_and_no_partition_stands_still(steps: list[str]) -> None:
    ahead: ReadAhead[int] = ReadAhead(4)
    added, seen, stopped, is_out = 0, [], False, False
    for step in steps:
        if step == "add" and not stopped:
            stopped = ahead.add(A, added)
            added += 1
        elif step == "take":
            taken = ahead.take()
            assert not (taken and is_out)
            seen += taken
            is_out = is_out or bool(taken)
        elif step == "finish" and is_out:
            is_out, read_on = False, ahead.finished(A)
            stopped = stopped and not read_on
    while added > len(seen):
        seen += ahead.take()
        read_on = ahead.finished(A)
        stopped = stopped and not read_on

    assert seen == list(range(added))
    assert not stopped
