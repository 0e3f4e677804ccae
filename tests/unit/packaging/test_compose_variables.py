"""Variables of docker-compose.yml are filled in as `docker compose` does; services start after what they need."""

import pytest

from tests.support.compose import MissingVariableError, Service, interpolate, start_order


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${A}z", "x1y1z"),
        ("${B:-2}", "2"),
        ("${A:-2}", "1"),
        ("${B:-http://h:${A}}", "http://h:1"),
        ("${B:-${C:-3}}", "3"),
        ("${EMPTY:-4}", "4"),
        ("${B}", ""),
        ("${A:?needed}", "1"),
    ],
)
def test_interpolate(text: str, expected: str) -> None:
    assert interpolate(text, {"A": "1", "EMPTY": ""}) == expected


@pytest.mark.parametrize("text", ["${B:?needed}", "${EMPTY:?needed}"])
def test_a_required_variable(text: str) -> None:
    with pytest.raises(MissingVariableError, match="needed"):
        interpolate(text, {"EMPTY": ""})


def test_services_start_after_what_they_depend_on() -> None:
    services: dict[str, Service] = {
        "api": {"depends_on": {"migrate": {}, "kafka": {}}},
        "migrate": {"depends_on": {"database": {}}},
        "database": {},
        "kafka": {},
        "tools": {"profiles": ["tools"]},
    }
    assert start_order(services) == ["database", "migrate", "kafka", "api"]


def test_a_circle_is_noticed() -> None:
    with pytest.raises(ValueError, match="a → b → a"):
        start_order({"a": {"depends_on": {"b": {}}}, "b": {"depends_on": {"a": {}}}})
