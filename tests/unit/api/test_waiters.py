import asyncio

import pytest

from schemas.events import ErrorCode
from services.api.waiters import InFlight, Overloaded, Signal, Waiters
from tests.unit.api.fakes import RESULT_ID, completed, refused


def test_everyone_who_waits_for_a_result_hears_it_and_nobody_else() -> None:
    async def run() -> None:
        waiters = Waiters()
        with (
            waiters.register(RESULT_ID) as first,
            waiters.register(RESULT_ID) as second,
            waiters.register("another") as other,
        ):
            waiters.resolve(completed())
            assert await first.wait(1) == completed()
            assert await second.wait(1) == completed()
            assert await other.wait(0.01) is Signal.TIMED_OUT

    asyncio.run(run())


def test_who_left_is_not_awaited_and_leaves_nothing_behind() -> None:
    async def run() -> None:
        waiters = Waiters()
        with waiters.register(RESULT_ID):
            assert waiters.is_awaited(RESULT_ID)
            with waiters.register(RESULT_ID):
                pass
            assert waiters.is_awaited(RESULT_ID)
        assert not waiters.is_awaited(RESULT_ID)
        waiters.resolve(completed())

    asyncio.run(run())


def test_a_reply_before_the_wait_begins_is_kept() -> None:
    async def run() -> None:
        waiters = Waiters()
        with waiters.register(RESULT_ID) as waiter:
            waiters.resolve(completed())
            assert await waiter.wait(0) == completed()

    asyncio.run(run())


def test_after_missed_replies_a_waiter_goes_on_and_hears_the_next() -> None:
    async def run() -> None:
        waiters = Waiters()
        with waiters.register(RESULT_ID) as waiter:
            waiters.missed()
            assert await waiter.wait(1) is Signal.MISSED
            waiters.resolve(completed())
            assert await waiter.wait(1) == completed()

    asyncio.run(run())


def test_a_reply_outdoes_a_signal_that_nobody_has_looked_at() -> None:
    async def run() -> None:
        waiters = Waiters()
        with waiters.register(RESULT_ID) as waiter:
            waiters.missed()
            waiters.resolve(completed())
            assert await waiter.wait(1) == completed()

    asyncio.run(run())


def test_a_result_outdoes_a_refusal_that_nobody_has_looked_at() -> None:
    async def run() -> None:
        waiters = Waiters()
        with waiters.register(RESULT_ID) as waiter:
            waiters.resolve(refused(ErrorCode.INSUFFICIENT_TOKENS))
            waiters.resolve(completed())
            assert await waiter.wait(1) == completed()

    asyncio.run(run())


def test_the_first_reply_stands() -> None:
    async def run() -> None:
        waiters = Waiters()
        with waiters.register(RESULT_ID) as waiter:
            waiters.resolve(completed())
            waiters.resolve(refused(ErrorCode.UNAVAILABLE))
            waiters.missed()
            assert await waiter.wait(1) == completed()

    asyncio.run(run())


def test_a_drain_ends_waits_that_are_and_waits_to_come() -> None:
    async def run() -> None:
        waiters = Waiters()
        with waiters.register(RESULT_ID) as waiter:
            waiters.drain()
            assert await waiter.wait(60) is Signal.TIMED_OUT
        with waiters.register(RESULT_ID) as late:
            assert await late.wait(60) is Signal.TIMED_OUT

    asyncio.run(run())


def test_places_are_bounded_in_all_and_for_each_user_and_come_back() -> None:
    in_flight = InFlight(total_max=3, per_user_max=2)
    with in_flight.slot("a"), in_flight.slot("a"):
        with pytest.raises(Overloaded), in_flight.slot("a"):
            pass
        with in_flight.slot("b"), pytest.raises(Overloaded), in_flight.slot("c"):
            pass
    with in_flight.slot("a"), in_flight.slot("a"), in_flight.slot("c"):
        pass
