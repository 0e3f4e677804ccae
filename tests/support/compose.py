"""`docker-compose.yml` as data: variables filled in, services in the order in which they start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"

Service = dict[str, Any]

# The innermost one: a default may hold variables itself.
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:-|:\?)(?P<rest>[^${}]*))?\}")


class MissingVariableError(ValueError):
    """A variable without a default is not set."""


def load_compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables filled in as `docker compose` does.

    Raises:
        MissingVariableError: a required one is empty.
    """
    content: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text("utf-8"))
    filled: dict[str, Any] = _fill(content, environment)
    return filled


def required_variables() -> set[str]:
    """The variables that the file refuses to go without."""
    return {match["name"] for match in _VARIABLE.finditer(COMPOSE_FILE.read_text("utf-8")) if match["how"] == ":?"}


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """`${NAME}`, `${NAME:-default}` and `${NAME:?message}` in one string."""

    def value(match: re.Match[str]) -> str:
        found = environment.get(match["name"], "")
        if found or match["how"] is None:
            return found
        if match["how"] == ":-":
            return str(match["rest"])
        raise MissingVariableError(f"{match['name']}: {match['rest']}")

    before = None
    while before != text:
        before, text = text, _VARIABLE.sub(value, text)
    return text


def start_order(services: Mapping[str, Service]) -> list[str]:
    """Service names such that each comes after what it depends on; those of a profile are left out."""

    def visit(name: str, path: tuple[str, ...]) -> Iterator[str]:
        if name in path:
            raise ValueError(f"a circle: {' → '.join([*path, name])}")
        for dependency in services[name].get("depends_on", {}):
            yield from visit(dependency, (*path, name))
        yield name

    wanted = [name for name, service in services.items() if not service.get("profiles")]
    return list(dict.fromkeys(found for name in wanted for found in visit(name, ())))


def _fill(node: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(node, str):
        return interpolate(node, environment)
    if isinstance(node, list):
        return [_fill(item, environment) for item in node]
    if isinstance(node, dict):
        return {name: _fill(value, environment) for name, value in node.items()}
    return node
