"""One user's flood of uploads, and long documents: what others wait for meanwhile, counted in pages.

Pages are counted rather than seconds: of those that the extractor began after a request lay on its topic and before it
began that request's own. So the counts hold on a machine of any speed.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from schemas.cloudevents import decode
from schemas.events import OcrRequest, Origin
from schemas.topics import REQUESTS
from tests.load.ground import Ground
from tests.support.scripted_engine import SLOW, picture
from tests.support.stage import Topics, Worker, wait_for

FLOOD_WORDS, POST_WORDS, LONG_WORDS = 1, 37, 2
"""How many words a page has tells in the extractor's log whose page it is."""
PAGES_LONGER_MAX = 3
_TOKENS = 100_000_000
_OTHERS = 6
_SECONDS_MAX = 900.0


@dataclass
class FloodFigures:
    """What came of it."""

    uploads: int
    partitions: int = 0
    """That the flood filled."""
    alone_seconds: list[float] = field(default_factory=list)
    """How long each POST took before the flood."""
    during_seconds: list[float] = field(default_factory=list)
    pages_before: list[int] = field(default_factory=list)
    """Pages begun between each POST's request and its own page, during the flood."""
    singles_done: int = 0
    """Single uploads of other users on other partitions."""
    flood_done_by_then: int = 0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        alone, during = statistics.median(self.alone_seconds), statistics.median(self.during_seconds)
        return [
            f"{self.uploads:,} uploads of one user waiting on {self.partitions} partitions",
            f"POSTs of another: {alone:.2f} s alone, {during:.2f} s during it (medians of {len(self.during_seconds)}); "
            f"pages read in between: {', '.join(str(count) for count in self.pages_before)}",
            f"{self.singles_done} single uploads of others, on other partitions, were done after "
            f"{self.flood_done_by_then:,} of the flood",
        ]


def run(ground: Ground, *, uploads: int, posts: int, page_seconds: float) -> FloodFigures:
    """POSTs alone, then the flood, then POSTs and single uploads of others during it. The flood is not waited for."""
    system, figures = ground.system, FloodFigures(uploads)
    system.account("flood", _TOKENS)
    key = system.account("asker", _TOKENS)
    for number in range(_OTHERS):
        system.account(f"other-{number}", _TOKENS)
    system.ledger()
    api = system.api()
    system.extractor(SCRIPTED_SLOW_SECONDS=str(page_seconds))
    for number in range(posts):
        figures.alone_seconds.append(_post(ground, api, key, number)[0])
    flood = _uploaded(ground, "flood", uploads)
    partitions = ground.ask_for_uploads(flood)
    figures.partitions = len(partitions)
    wait_for(lambda: any(words == FLOOD_WORDS for _, words in ground.pages()), "the flood is worked on", 60)
    for number in range(posts):
        seconds, asked_at = _post(ground, api, key, posts + number)
        figures.during_seconds.append(seconds)
        figures.pages_before.append(_pages_before(ground, asked_at, POST_WORDS))
    if max(figures.pages_before) > PAGES_LONGER_MAX:
        figures.problems.append(
            f"POSTs waited for {figures.pages_before} pages, at most {PAGES_LONGER_MAX} are allowed"
        )
    _singles(ground, partitions, figures)
    return figures


def _uploaded(ground: Ground, user: str, count: int, words: int = FLOOD_WORDS) -> list[OcrRequest]:
    stage = ground.system.stage

    def upload(number: int) -> OcrRequest:
        key = f"ocr/{user}/{number}.png"
        etag = stage.upload(key, picture(words, SLOW, seed=number))
        return stage.request(key, etag, origin=Origin.NOTIFICATION)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(upload, range(count)))


def _post(ground: Ground, api: Worker, api_key: str, number: int) -> tuple[float, float]:
    """Seconds of one POST, and when its request was on its topic, in seconds since the epoch."""
    key = f"ocr/asker/{number}.png"
    etag = ground.system.stage.upload(key, picture(POST_WORDS, SLOW, seed=number))
    started = time.monotonic()
    answer = ground.system.process(api, api_key, key, Prefer="wait=120")
    seconds = time.monotonic() - started
    assert answer.status == 200, answer
    return seconds, _requested_at(ground, ground.system.stage.request(key, etag).result_id)


def _requested_at(ground: Ground, result_id: str) -> float:
    reader = Topics(ground.system.stage.kafka, (REQUESTS,))
    reader.start()
    found: list[float] = []

    def look() -> bool:
        for message in list(reader.messages):
            event = decode(message.headers(), message.value()).data
            if isinstance(event, OcrRequest) and event.result_id == result_id:
                found.append(message.timestamp()[1] / 1000)
        return bool(found)

    try:
        wait_for(look, "the request on its topic", 60)
    finally:
        reader.close()
    return found[0]


def _pages_before(ground: Ground, asked_at: float, words: int) -> int:
    """Pages of others begun after `asked_at` and before the first page of so many words that was begun after it."""
    pages = sorted(page for page in ground.pages() if page[0] >= asked_at)
    return next(index for index, (_, of_page) in enumerate(pages) if of_page == words)


def _singles(ground: Ground, taken: set[int], figures: FloodFigures) -> None:
    """One upload each of other users: those that no partition of the flood holds up are done while it goes on."""
    elsewhere = []
    for number in range(_OTHERS):
        user = f"other-{number}"
        partitions = ground.ask_for_uploads(_uploaded(ground, user, 1, POST_WORDS))
        if partitions.isdisjoint(taken):
            elsewhere.append(user)
    wait_for(lambda: all(ground.seen.completed_of(user) == 1 for user in elsewhere), "the single uploads", _SECONDS_MAX)
    figures.singles_done = len(elsewhere)
    figures.flood_done_by_then = ground.seen.completed_of("flood")
    if figures.flood_done_by_then >= figures.uploads:
        figures.problems.append("the flood was done before the single uploads of others")


@dataclass
class LongFigures:
    """What came of long documents that are waited for."""

    documents: int
    pages: int
    singles: int
    pages_read_by_then: int = 0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.documents} POSTs of {self.pages} pages each: {self.singles} uploads of another user were done "
            f"after {self.pages_read_by_then:,} of their {self.documents * self.pages:,} pages",
        ]


def run_long_documents(ground: Ground, *, documents: int, pages: int, singles: int, page_seconds: float) -> LongFigures:
    """Several long documents are POSTed; then uploads of another user come, and are done before any of them is."""
    system, figures = ground.system, LongFigures(documents, pages, singles)
    key = system.account("long", _TOKENS)
    for number in range(_OTHERS):
        system.account(f"other-{number}", _TOKENS)
    system.ledger()
    api = system.api()
    system.extractor(SCRIPTED_SLOW_SECONDS=str(page_seconds))
    for number in range(documents):
        name = f"ocr/long/{number}.tiff"
        system.stage.upload(name, picture(LONG_WORDS, SLOW, pages=pages, seed=number))
        # Who waits is told that it goes on; the document has changed lanes meanwhile, or is about to.
        answer = system.process(api, key, name, Prefer="wait=1")
        assert answer.status == 202, answer
    wait_for(lambda: _long_pages(ground) > documents, "the long documents are being read", 120)
    # Of the users, one whose partition none of the long documents lies on: what lies behind one waits for it.
    done = 0
    for number in range(_OTHERS):
        user = f"other-{number}"
        ground.ask_for_uploads(_uploaded(ground, user, singles, FLOOD_WORDS))

    def one_user_is_done() -> bool:
        nonlocal done
        done = max(ground.seen.completed_of(f"other-{number}") for number in range(_OTHERS))
        return done == singles

    wait_for(one_user_is_done, "the uploads of another user", _SECONDS_MAX)
    figures.pages_read_by_then = _long_pages(ground)
    if (finished := ground.seen.completed_of("long")) > 0:
        figures.problems.append(f"{finished} long documents were done before the uploads")
    return figures


def _long_pages(ground: Ground) -> int:
    return sum(words == LONG_WORDS for _, words in ground.pages())
