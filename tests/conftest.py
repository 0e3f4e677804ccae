"""Wires the real parts into every test, marks tests by their folder, and says at the end what was not covered."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.coverage import COVERAGE, Coverage

pytest_plugins = ["tests.support.fixtures", "tests.support.specifications"]

_TESTS = Path(__file__).parent
_MARKERS = ("unit", "contract", "integration", "e2e", "faults", "load")
"""The folders, in the order in which they run: what fails in milliseconds is known in seconds."""


def pytest_configure(config: pytest.Config) -> None:
    """Begins the note of what this run meets."""
    config.stash[COVERAGE] = Coverage()
    # How long an example takes is the machine's affair: one with much else to do must not fail a test by it.
    settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any-machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test by the folder it lies in: tests/unit, tests/contract and so on."""
    for item in items:
        if _folder(item) in _MARKERS:
            item.add_marker(_folder(item))
    items.sort(key=lambda item: _MARKERS.index(_folder(item)) if _folder(item) in _MARKERS else len(_MARKERS))


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).parts[0] if item.path.is_relative_to(_TESTS) else ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says which parts the tests met."""
    lines = config.stash[COVERAGE].met()
    if lines:
        terminalreporter.section("parts")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Says below everything else what was not covered: nobody must take such a run for a full one."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None:
        return
    for line in config.stash[COVERAGE].gaps():
        terminal.write_line(line, red=True, bold=True)
