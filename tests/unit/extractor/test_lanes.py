"""Whose page is next."""

from collections import Counter

from services.extractor.lanes import Lane, Lanes


def _turns(lanes: Lanes, ready: set[int], count: int) -> list[int | None]:
    return [lanes.next(ready) for _ in range(count)]


def test_those_who_wait_take_turns() -> None:
    lanes = Lanes(uploads_every=4)
    for number in (1, 2, 3):
        lanes.add(number, Lane.WAITING)
    assert _turns(lanes, {1, 2, 3}, 6) == [1, 2, 3, 1, 2, 3]


def test_an_upload_gets_every_fourth_page_however_many_wait() -> None:
    lanes = Lanes(uploads_every=4)
    for number in (1, 2, 3, 4, 5):
        lanes.add(number, Lane.WAITING)
    lanes.add(9, Lane.UPLOAD)
    turns = _turns(lanes, {1, 2, 3, 4, 5, 9}, 16)
    assert [index for index, number in enumerate(turns) if number == 9] == [3, 7, 11, 15]


def test_those_who_wait_come_before_a_flood_of_uploads() -> None:
    lanes = Lanes(uploads_every=4)
    uploads = set(range(10, 30))
    for number in uploads:
        lanes.add(number, Lane.UPLOAD)
    _turns(lanes, uploads, 7)
    lanes.add(1, Lane.WAITING)
    assert 1 in _turns(lanes, uploads | {1}, 2)


def test_uploads_have_every_page_when_nobody_waits() -> None:
    lanes = Lanes(uploads_every=4)
    lanes.add(1, Lane.UPLOAD)
    lanes.add(2, Lane.UPLOAD)
    assert Counter(_turns(lanes, {1, 2}, 10)) == {1: 5, 2: 5}


def test_a_record_that_is_not_ready_keeps_its_place_and_holds_nobody_up() -> None:
    lanes = Lanes(uploads_every=4)
    for number in (1, 2):
        lanes.add(number, Lane.WAITING)
    assert lanes.next({2}) == 2
    assert lanes.next({1, 2}) == 1


def test_nobody_ready_is_nobodys_turn() -> None:
    lanes = Lanes(uploads_every=4)
    lanes.add(1, Lane.WAITING)
    assert lanes.next(set()) is None


def test_a_suspect_runs_alone_until_it_is_done() -> None:
    lanes = Lanes(uploads_every=4)
    lanes.add(1, Lane.UPLOAD, suspect=True)
    assert lanes.next({1}) == 1
    lanes.add(2, Lane.WAITING)
    assert lanes.next({2}) is None
    assert lanes.next({1, 2}) == 1
    lanes.discard(1)
    assert lanes.next({2}) == 2


def test_of_two_suspects_one_runs_after_the_other() -> None:
    lanes = Lanes(uploads_every=4)
    lanes.add(1, Lane.UPLOAD, suspect=True)
    lanes.add(2, Lane.UPLOAD, suspect=True)
    assert _turns(lanes, {1, 2}, 3) == [1, 1, 1]
    lanes.discard(1)
    assert _turns(lanes, {2}, 2) == [2, 2]


def test_a_discarded_record_has_no_turn() -> None:
    lanes = Lanes(uploads_every=4)
    lanes.add(1, Lane.WAITING)
    lanes.discard(1)
    lanes.discard(1)
    assert lanes.next({1}) is None
