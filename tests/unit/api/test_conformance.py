"""What schemathesis makes of our own OpenAPI: no 500, no answer that is not documented, nothing valid refused."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import negative_data_rejection, positive_data_acceptance

from services.api.results import ListedResult, ResultStatus
from tests.unit.api.fakes import API_KEY, KEY, NOW, RESULT_ID, USER, FakeWorld, app, completed, document

# A schema cannot say all: a valid key may name nothing, and a valid cursor was perhaps never given. And parameters that
# nobody knows are ignored, as unknown fields are.
NOT_PROMISED = [positive_data_acceptance, negative_data_rejection]


def _world() -> FakeWorld:
    listed = ListedResult(RESULT_ID, USER, KEY, ResultStatus.PENDING, NOW, None, None, None)
    world = FakeWorld(documents={(USER, RESULT_ID): document()}, rows={RESULT_ID: listed})
    world.answer_with(completed())
    return world


schema = schemathesis.openapi.from_asgi("/openapi.json", app(_world()))


@schema.parametrize()
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_is_documented(case: Any) -> None:
    case.call_and_validate(headers={"X-API-Key": API_KEY}, excluded_checks=NOT_PROMISED)
