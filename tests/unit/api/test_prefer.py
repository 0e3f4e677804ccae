import pytest

from services.api.prefer import Preference, parse_prefer


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Preference()),
        (["respond-async"], Preference(respond_async=True)),
        (["Respond-Async"], Preference(respond_async=True)),
        (["wait=10"], Preference(wait_seconds=10)),
        (['wait="10"'], Preference(wait_seconds=10)),
        (["respond-async, wait=5"], Preference(True, 5)),
        (["respond-async", "wait = 5"], Preference(True, 5)),
        (["wait=5, wait=7"], Preference(wait_seconds=5)),
        (["respond-async; foo=bar"], Preference(respond_async=True)),
        (["wait=-1"], Preference()),
        (["wait=1.5"], Preference()),
        (["wait=soon"], Preference()),
        (["wait=99999999999999999999"], Preference()),
        (["wait=٣"], Preference()),
        (["return=minimal"], Preference()),
        ([",;=,"], Preference()),
    ],
)
def test_what_is_understood_counts_and_the_rest_is_ignored(headers: list[str], expected: Preference) -> None:
    assert parse_prefer(headers) == expected


@pytest.mark.parametrize(
    ("preference", "stated", "waits"),
    [
        (Preference(), False, True),
        (Preference(respond_async=True), True, False),
        (Preference(wait_seconds=10), True, True),
        (Preference(wait_seconds=0), True, False),
        (Preference(True, 10), True, True),
        (Preference(True, 0), True, False),
    ],
)
def test_who_waits_and_who_knows_of_202(preference: Preference, stated: bool, waits: bool) -> None:
    assert (preference.stated, preference.waits) == (stated, waits)


def test_the_answer_says_what_was_applied() -> None:
    assert Preference(True, 5).applied(120.0) == "respond-async, wait=5"
    assert Preference(wait_seconds=5).applied(120.0) == "wait=5"
    assert Preference(wait_seconds=120).applied(120.0) == "wait=120"
    assert Preference(wait_seconds=500).applied(120.0) == "wait=120"
    assert Preference(respond_async=True).applied(120.0) == "respond-async"
