"""The operator's view, from what the list and the broker say."""

from datetime import timedelta

import pytest

from services.api.keys import Scope
from services.api.overview import WINDOW_MINUTES, first_minute, overview_of
from services.api.result_figures import Finished, ResultFigures
from services.api.results import ResultStatus
from services.api.topic_lag import BrokerFigures, PartitionLag, TopicLag
from tests.unit.api.fakes import NOW, FakeWorld, api_key, app
from tests.unit.api.test_app import call

_NOTHING = BrokerFigures((), {})


def ended(status: ResultStatus, count: int, minutes_ago: int = 0, code: str | None = None) -> Finished:
    minute = NOW.replace(second=0) - timedelta(minutes=minutes_ago)
    return Finished(minute, status, code, count, pages=2 * count, tokens=100 * count)


def test_throughput_counts_completed_results_alone() -> None:
    finished = [ended(ResultStatus.COMPLETED, 3), ended(ResultStatus.COMPLETED, 2, 5), ended(ResultStatus.FAILED, 7)]
    overview = overview_of(NOW, ResultFigures(finished, 4, NOW), _NOTHING, NOW)
    assert (overview.completed, overview.pages, overview.tokens, overview.pending) == (5, 10, 500, 4)


def test_every_minute_of_the_window_is_there_oldest_first() -> None:
    oldest = WINDOW_MINUTES - 1
    finished = [ended(ResultStatus.COMPLETED, 3), ended(ResultStatus.REFUSED, 1, oldest, "insufficient_tokens")]
    minutes = overview_of(NOW, ResultFigures(finished, 0, None), _NOTHING, None).minutes
    assert len(minutes) == WINDOW_MINUTES
    assert minutes[0].minute == first_minute(NOW)
    assert (minutes[0].completed, minutes[0].refused) == (0, 1)
    assert (minutes[-1].completed, minutes[-1].refused) == (3, 0)


def test_failures_are_counted_by_code_most_frequent_first() -> None:
    finished = [
        ended(ResultStatus.FAILED, 1, code="unsupported_media_type"),
        ended(ResultStatus.FAILED, 2, 1, code="unreadable_document"),
        ended(ResultStatus.FAILED, 2, 2, code="unreadable_document"),
    ]
    failures = overview_of(NOW, ResultFigures(finished, 0, None), _NOTHING, None).failures
    assert [(each.code, each.count) for each in failures] == [("unreadable_document", 4), ("unsupported_media_type", 1)]


def test_lag_is_told_by_partition_and_in_all() -> None:
    lag = TopicLag("ocr.uploads", "ocr-extractor", (PartitionLag(0, 3), PartitionLag(1, 4)))
    (topic,) = overview_of(NOW, ResultFigures([], 0, None), BrokerFigures((lag,), {"ocr.usage": 2}), None).lag
    assert topic.lag == 7
    assert [(each.partition, each.lag) for each in topic.partitions] == [(0, 3), (1, 4)]


@pytest.mark.parametrize(("scopes", "status"), [((Scope.OPERATE,), 200), ((Scope.READ, Scope.PROCESS), 403)])
def test_only_a_key_that_may_operate_sees_it(scopes: tuple[Scope, ...], status: int) -> None:
    answer = call(app(FakeWorld(), key=api_key(*scopes)), "GET", "/api/operator/overview")
    assert answer.status_code == status
