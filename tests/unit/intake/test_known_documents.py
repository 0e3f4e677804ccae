"""Which documents a listing has shown."""

import uuid

from services.intake.known_documents import KnownDocuments


def test_what_was_listed_is_known_and_nothing_else() -> None:
    ids = sorted(str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))) for number in range(2000))
    known = KnownDocuments()
    for each in ids[::2]:
        known.add(each)
    assert len(known) == 1000
    assert all(each in known for each in ids[::2])
    assert not any(each in known for each in ids[1::2])
    known.clear()
    assert ids[0] not in known


def test_what_is_no_id_of_ours_is_never_known() -> None:
    known = KnownDocuments()
    for each in ("", "notes", "ab", "é", "x" * 32):
        known.add(each)
        assert each not in known
    assert len(known) == 0


def test_no_more_are_kept_than_may() -> None:
    ids = sorted(str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))) for number in range(20))
    known = KnownDocuments(known_max=5)
    for each in ids:
        known.add(each)
    assert [each in known for each in ids] == [True] * 5 + [False] * 15


def test_ids_of_another_order_give_no_false_answer() -> None:
    ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))) for number in range(200)]
    known = KnownDocuments()
    for each in ids[:100]:
        known.add(each)
    assert not any(each in known for each in ids[100:])
