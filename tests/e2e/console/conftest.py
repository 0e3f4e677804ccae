"""The console in a real browser, on a running stack."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.e2e.local.running import RunningStack, running_stack
from tests.support.browser import browser as browser
from tests.support.documents import ROOT

SAMPLE = ROOT / "samples/receipt.jpg"
_TIMEOUT_MS = 60_000
expect.set_options(timeout=_TIMEOUT_MS)
_SCREENSHOTS = "OCR_SCREENSHOTS"
"""A folder: the tests leave pictures of what they saw there, for people to look at."""

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("console") / "data") as running:
        yield running


@pytest.fixture
def open_page(browser: Browser, stack: RunningStack) -> Iterator[OpenPage]:
    """Opens the console in a browser profile of its own, signed in by its address unless told otherwise.

    A policy violation or an uncaught error in any watched page fails the test.
    """
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # Answers of the API that are errors are told there, too; those the tests provoke.
        if message.type == "error" and "Failed to load resource" not in message.text:
            problems.append(message.text)

    def opened(*, signed_in: bool = True, watched: bool = True, **options: object) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 860}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(_TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        if watched:
            page.on("console", note)
            page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{stack.facts['url']}/#key={stack.facts['apiKey']}" if signed_in else stack.facts["url"])
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The console, signed in."""
    return open_page()


def screenshot(page: Page, name: str) -> None:
    """Keeps a picture where somebody asked for pictures."""
    folder = os.environ.get(_SCREENSHOTS)
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def read_sample(page: Page) -> str:
    """Uploads the sample, waits for its result with its words, and returns the result's id."""
    page.set_input_files("#files", SAMPLE)
    page.wait_for_url("**/#/results/*")
    page.wait_for_selector("polygon.word")
    return page.url.rpartition("/")[2]
