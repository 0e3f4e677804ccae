"""A real headless browser: the machine's Chromium, else the one that playwright has downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from tests.support.coverage import COVERAGE, real_parts_required

_EXECUTABLES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    """One browser for the session. Without one the tests are skipped, which the last lines of the run say."""
    coverage = pytestconfig.stash[COVERAGE]
    executable = next((found for name in _EXECUTABLES if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=executable)
        except Error as error:
            reason = f"no Chromium: install Debian's package chromium ({error.message.splitlines()[0]})"
            coverage.lacked("browser", reason)
            if real_parts_required():
                pytest.fail(f"OCR_REQUIRE_REAL_PARTS is set and there is {reason}", pytrace=False)
            pytest.skip(reason)
        coverage.used("browser", "package", f"Chromium {started.version}")
        yield started
        started.close()
