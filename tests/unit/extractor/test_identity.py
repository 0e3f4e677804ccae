"""Names of transactions outlive the process that crashed, and only that one."""

from pathlib import Path

import pytest

from services.extractor.identity import claimed_identity

CLUSTER = "localhost:9092"


def test_a_name_is_given_back_at_an_orderly_end(tmp_path: Path) -> None:
    with claimed_identity(tmp_path, CLUSTER) as identity:
        assert not identity.in_doubt
        assert identity.transactional_id.startswith("ocr-extractor-")
    assert list(tmp_path.iterdir()) == []


def test_a_crash_leaves_the_name_to_the_next_process(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed_identity(tmp_path, CLUSTER) as crashed:
        raise KeyboardInterrupt
    with claimed_identity(tmp_path, CLUSTER) as heir:
        assert heir.in_doubt
        assert heir.transactional_id == crashed.transactional_id
        heir.in_doubt = False
    assert list(tmp_path.iterdir()) == []


def test_an_end_in_doubt_leaves_it_too(tmp_path: Path) -> None:
    with claimed_identity(tmp_path, CLUSTER) as first:
        first.in_doubt = True
    with claimed_identity(tmp_path, CLUSTER) as heir:
        assert (heir.transactional_id, heir.in_doubt) == (first.transactional_id, True)


def test_replicas_side_by_side_have_names_of_their_own(tmp_path: Path) -> None:
    with claimed_identity(tmp_path, CLUSTER) as one, claimed_identity(tmp_path, CLUSTER) as other:
        assert one.transactional_id != other.transactional_id
        assert not other.in_doubt


def test_of_two_that_crashed_each_heir_gets_one(tmp_path: Path) -> None:
    with claimed_identity(tmp_path, CLUSTER) as one, claimed_identity(tmp_path, CLUSTER) as other:
        one.in_doubt = other.in_doubt = True
    with claimed_identity(tmp_path, CLUSTER) as first, claimed_identity(tmp_path, CLUSTER) as second:
        assert {first.transactional_id, second.transactional_id} == {one.transactional_id, other.transactional_id}
        assert first.in_doubt
        assert second.in_doubt


def test_the_name_of_another_installation_is_left_alone(tmp_path: Path) -> None:
    with claimed_identity(tmp_path, CLUSTER) as crashed:
        crashed.in_doubt = True
    with claimed_identity(tmp_path, "elsewhere:9092") as identity:
        assert identity.transactional_id != crashed.transactional_id
        assert not identity.in_doubt
