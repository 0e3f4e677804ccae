import asyncio
from concurrent.futures import ThreadPoolExecutor

from services.api.readiness import BucketWatch, Readiness, balances_problem, watch
from services.runtime.errors import BucketMissing, DatabaseUnavailable, StoreUnavailable
from tests.unit.api.fakes import balances


def test_ready_means_every_check_and_the_database_and_the_database_is_not_asked_too_often() -> None:
    asked: list[str] = []
    problem: str | None = "the replies are not read yet"

    async def ping() -> None:
        asked.append("database")

    seconds = iter([0.0, 0.0, 0.5, 2.0, 2.0])
    ready = Readiness([lambda: None, lambda: problem], ping, clock=lambda: next(seconds))
    assert asyncio.run(ready()) == problem
    assert asked == []
    problem = None
    for times_asked in (1, 1, 2):
        assert asyncio.run(ready()) is None
        assert len(asked) == times_asked


def test_a_database_that_is_away_is_not_ready_and_asked_again_at_once() -> None:
    broken = True

    async def ping() -> None:
        if broken:
            raise DatabaseUnavailable("password=secret")

    ready = Readiness([], ping)
    told = asyncio.run(ready())
    assert told is not None
    assert "secret" not in told
    broken = False
    assert asyncio.run(ready()) is None


def test_a_bucket_that_is_missing_is_not_ready_and_a_store_that_is_away_changes_nothing() -> None:
    trouble: dict[str, StoreUnavailable] = {}
    asked: list[str] = []
    seconds = 0.0

    def require(bucket: str) -> None:
        asked.append(bucket)
        if bucket in trouble:
            raise trouble[bucket]

    def later() -> str | None:
        nonlocal seconds
        seconds += 10.0
        watch_buckets()
        executor.submit(lambda: None).result(10)
        return watch_buckets()

    with ThreadPoolExecutor(1) as executor:
        watch_buckets = BucketWatch(require, ("uploads", "results"), executor, clock=lambda: seconds)
        assert later() is None
        assert asked == ["uploads", "results"], "asked once, however often it is looked at"
        trouble["results"] = StoreUnavailable("away")
        assert later() is None
        trouble["results"] = BucketMissing("the bucket results does not exist")
        told = later()
        assert told is not None
        assert "results" in told
        trouble["results"] = StoreUnavailable("away")
        assert later() == told
        trouble.clear()
        assert later() is None


def test_balances_are_known_once_read_to_their_end_with_the_ledgers_word() -> None:
    table = balances()
    assert balances_problem(table) is None
    table.heartbeats.clear()
    assert balances_problem(table) is not None
    table = balances()
    table.complete = False
    assert balances_problem(table) is not None


def test_a_vital_part_that_failed_ends_the_process() -> None:
    given_up: list[str] = []
    asyncio.run(watch(lambda: "the producer failed for good", given_up.append))
    assert given_up == ["the producer failed for good"]
