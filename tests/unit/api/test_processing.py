"""The order of the steps, with everything in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest

from schemas.events import ErrorCode, Failure, Origin
from services.api.errors import ApiError
from services.api.models import AcceptedResult, OcrResult
from services.api.prefer import Preference
from services.api.settings import ApiSettings
from services.api.waiters import HungUp, Overloaded
from services.runtime.admission import BalanceTable
from tests.unit.api.fakes import (
    ETAG,
    KEY,
    NOW,
    RESULT_ID,
    USER,
    FakeWorld,
    balances,
    completed,
    document,
    failed,
    processor,
    refused,
)

IMPATIENT = ApiSettings(wait_seconds_default=0.02)


def post(
    world: FakeWorld,
    key: str = KEY,
    preference: Preference | None = None,
    *,
    table: BalanceTable | None = None,
    settings: ApiSettings | None = None,
) -> OcrResult | AcceptedResult:
    made = processor(world, table=table, settings=settings)
    return asyncio.run(made.process(USER, key, preference or Preference()))


def refusal(world: FakeWorld, key: str = KEY, *, table: BalanceTable | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught:
        post(world, key, table=table, settings=IMPATIENT)
    return caught.value


def test_the_steps_come_in_the_order_that_loses_no_answer() -> None:
    world = FakeWorld()
    world.answer_with(completed())
    assert isinstance(post(world), OcrResult)
    assert world.log == ["head", "document, awaited", "pending True", "send"]


def test_a_request_is_dated_before_the_look_for_the_document() -> None:
    # A failure that the list dates after it is then of another request, and not one that was removed.
    world = FakeWorld()

    def now() -> datetime:
        world.log.append("dated")
        return NOW

    made = replace(processor(world), now=now)
    asyncio.run(made.process(USER, KEY, Preference(respond_async=True)))
    assert world.log == ["head", "dated", "document, awaited", "pending True", "send"]


def test_the_request_names_the_content_that_was_seen() -> None:
    world = FakeWorld()
    world.answer_with(completed())
    post(world)
    request, somebody_waits, _ = world.sent[0]
    assert (request.result_id, request.key, request.etag, request.size_bytes) == (RESULT_ID, KEY, ETAG, 100)
    assert request.origin is Origin.API
    assert somebody_waits


def test_a_result_that_exists_is_answered_without_request_and_without_balance() -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document()})
    again = post(world, table=balances(0))
    assert world.sent == []
    fresh = FakeWorld()
    fresh.answer_with(completed())
    assert post(fresh) == again


def test_text_that_did_not_travel_is_read_from_the_document() -> None:
    world = FakeWorld()

    def finish(_: object) -> None:
        world.documents[USER, RESULT_ID] = document("a long text")
        world.waiters.resolve(completed(text=None))

    world.on_send = finish
    answer = post(world)
    assert isinstance(answer, OcrResult)
    assert answer.text == "a long text"


def test_a_wait_that_runs_out_looks_once_more() -> None:
    world = FakeWorld()
    world.on_send = lambda _: world.documents.update({(USER, RESULT_ID): document()})
    assert isinstance(post(world, settings=IMPATIENT), OcrResult)


def test_a_wait_that_runs_out_is_a_504_that_says_where_to_ask() -> None:
    error = refusal(FakeWorld())
    assert (error.status_code, error.code) == (504, "timed_out")
    assert error.headers is not None
    assert error.headers["Location"] == f"/api/ocr/results/{RESULT_ID}"
    assert int(error.headers["Retry-After"]) > 0


def test_a_wait_that_runs_out_is_a_202_for_those_who_sent_prefer() -> None:
    world = FakeWorld()
    world.on_send = lambda _: world.waiters.drain()
    assert post(world, preference=Preference(wait_seconds=1)) == AcceptedResult(id=RESULT_ID)
    assert world.sent[0][1], "somebody waited"


@pytest.mark.parametrize("preference", [Preference(respond_async=True), Preference(wait_seconds=0)])
def test_who_does_not_wait_goes_onto_the_lane_of_uploads(preference: Preference) -> None:
    world = FakeWorld()
    assert post(world, preference=preference) == AcceptedResult(id=RESULT_ID)
    assert [somebody_waits for _, somebody_waits, _ in world.sent] == [False]


def test_missed_replies_are_made_good_by_the_document() -> None:
    world = FakeWorld()

    def miss(_: object) -> None:
        world.documents[USER, RESULT_ID] = document()
        world.waiters.missed()

    world.on_send = miss
    assert isinstance(post(world), OcrResult)


def test_who_hangs_up_leaves_the_place_to_others_and_the_request_goes_on() -> None:
    async def run() -> None:
        world = FakeWorld()
        made = processor(world, settings=ApiSettings(waiters_max=1, wait_seconds_default=30))
        gone, sent = asyncio.Event(), asyncio.Event()
        world.on_send = lambda _: sent.set()

        async def hung_up() -> None:
            await gone.wait()

        waiting = asyncio.create_task(made.process(USER, KEY, Preference(), hung_up=hung_up))
        await sent.wait()
        with pytest.raises(Overloaded):
            await made.process(USER, KEY, Preference())
        gone.set()
        with pytest.raises(HungUp):
            await waiting
        world.answer_with(completed())
        assert isinstance(await made.process(USER, KEY, Preference()), OcrResult)
        assert len(world.sent) == 2

    asyncio.run(run())


def test_after_missed_replies_without_a_document_the_wait_goes_on() -> None:
    async def run() -> None:
        world = FakeWorld()
        world.on_send = lambda _: world.waiters.missed()
        asyncio.get_running_loop().call_later(0.02, world.waiters.resolve, completed())
        assert isinstance(await processor(world).process(USER, KEY, Preference()), OcrResult)

    asyncio.run(run())


@pytest.mark.parametrize(
    "key",
    [
        "",
        "scan.jpg",
        "ocr/alice/",
        "ocr/alice/scan",
        "ocr/alice/.jpg",
        "ocr//scan.jpg",
        "ocr/alice/a/b.jpg",
        "ocr/alice/../bob/scan.jpg",
        "ocr/../alice/scan.jpg",
        "ocr/alice/..%2Fscan.jpg",
        "ocr/alice%2Fscan.jpg",
        "OCR/alice/scan.jpg",
        "ocr/alice/sc\x00an.jpg",
        "ocr/alice/sc\nan.jpg",
        "ocr/alice/sc\ud800an.jpg",
        "ocr\\alice\\scan.jpg",
        "ocr/alice/" + "x" * 2048 + ".jpg",
        "ocr/alice/" + "ü" * 600 + ".jpg",
    ],
)
def test_a_key_of_another_form_is_refused_before_anything_is_looked_up(key: str) -> None:
    world = FakeWorld()
    error = refusal(world, key)
    assert (error.status_code, error.code, error.detail) == (400, "invalid_key", "Invalid file key format")
    assert world.log == []


def test_another_users_key_is_not_even_looked_for() -> None:
    world = FakeWorld()
    absent = refusal(FakeWorld(objects={}))
    foreign = refusal(world, "ocr/bob/scan.jpg")
    assert (foreign.status_code, foreign.code, foreign.detail) == (absent.status_code, absent.code, absent.detail)
    assert foreign.status_code == 404
    assert world.log == []


@pytest.mark.parametrize(
    ("balance", "says"), [(0, "your balance is 0"), (-7, "your balance is -7"), (None, "your balance is 0")]
)
def test_without_balance_nothing_is_listed_or_requested(balance: int | None, says: str) -> None:
    world = FakeWorld()
    error = refusal(world, table=balances(balance))
    assert (error.status_code, error.code) == (402, "insufficient_tokens")
    assert says in error.detail
    assert world.log == ["head", "document, awaited"]


def test_balances_that_are_not_known_are_503_with_retry_after() -> None:
    table = balances()
    table.complete = False
    error = refusal(FakeWorld(), table=table)
    assert (error.status_code, error.code) == (503, "unavailable")
    assert error.headers is not None
    assert int(error.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.FILE_TOO_LARGE, 413),
        (ErrorCode.UNSUPPORTED_MEDIA_TYPE, 415),
        (ErrorCode.UNREADABLE_DOCUMENT, 422),
    ],
)
def test_a_failure_says_the_same_from_its_event_and_from_its_document(code: ErrorCode, status: int) -> None:
    fresh = FakeWorld()
    fresh.answer_with(failed(code))
    stored = FakeWorld(documents={(USER, RESULT_ID): document(error=Failure(code=code, reason="because"))})
    for error in (refusal(fresh), refusal(stored)):
        assert (error.status_code, error.code, error.detail) == (status, code, "because")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.FILE_NOT_FOUND, 404),
        (ErrorCode.OBJECT_CHANGED, 409),
        (ErrorCode.UNAVAILABLE, 503),
    ],
)
def test_a_refusal_has_its_code(code: ErrorCode, status: int) -> None:
    world = FakeWorld()
    world.answer_with(refused(code))
    error = refusal(world)
    assert (error.status_code, error.code, error.detail) == (status, code, "because")


def test_an_upload_refused_before_its_grant_was_heard_of_does_not_answer_an_admitted_post() -> None:
    async def run() -> None:
        world = FakeWorld()
        world.answer_with(refused(ErrorCode.INSUFFICIENT_TOKENS))
        asyncio.get_running_loop().call_later(0.02, world.waiters.resolve, completed())
        assert isinstance(await processor(world).process(USER, KEY, Preference()), OcrResult)

    asyncio.run(run())


def test_a_balance_that_ran_out_meanwhile_is_402() -> None:
    world, table = FakeWorld(), balances()

    def run_out(_: object) -> None:
        known = table.balances[USER]
        table.apply(known.model_copy(update={"balance": 0, "version": known.version + 1}))
        world.waiters.resolve(refused(ErrorCode.INSUFFICIENT_TOKENS))

    world.on_send = run_out
    error = refusal(world, table=table)
    assert (error.status_code, error.code) == (402, "insufficient_tokens")


def test_a_refusal_for_now_says_when_to_come_back() -> None:
    world = FakeWorld()
    world.answer_with(refused(ErrorCode.UNAVAILABLE))
    headers = refusal(world).headers
    assert headers is not None
    assert int(headers["Retry-After"]) > 0


def test_a_deleted_result_is_410() -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document(deleted=True)})
    error = refusal(world)
    assert (error.status_code, error.code) == (410, "result_deleted")
    assert world.sent == []


def test_one_post_too_many_is_turned_away_and_its_place_comes_back() -> None:
    async def run() -> None:
        world = FakeWorld()
        made = processor(world, settings=ApiSettings(waiters_max=1))
        first = asyncio.create_task(made.process(USER, KEY, Preference()))
        await asyncio.sleep(0.01)
        with pytest.raises(Overloaded):
            await made.process("bob", "ocr/bob/scan.jpg", Preference())
        world.waiters.resolve(completed())
        await first
        world.documents[USER, RESULT_ID] = document()
        assert isinstance(await made.process(USER, KEY, Preference()), OcrResult)

    asyncio.run(run())


def test_a_wait_is_never_longer_than_the_longest() -> None:
    world = FakeWorld()
    settings = ApiSettings(wait_seconds_max=0.02)
    assert post(world, preference=Preference(wait_seconds=3600), settings=settings) == AcceptedResult(id=RESULT_ID)
