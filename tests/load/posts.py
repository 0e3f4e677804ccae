"""Many POSTs at once against a slow extractor: none is lost, none is answered with another's result."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from schemas.identity import result_id
from tests.load.ground import Ground
from tests.support.scripted_engine import SLOW, picture
from tests.support.stage import Worker, wait_for

_USERS = 4
_TOKENS = 10_000_000
_ANSWER_SECONDS_MAX = 150.0
_AGAIN_AT_A_TIME = 16
_SETTLED_SECONDS_MAX = 600.0
MEMORY_GROWTH_BYTES_MAX = 200 * 1024 * 1024
"""Of the API, over what it takes at rest; a POST that waits takes some tens of kilobytes."""


@dataclass(frozen=True)
class Post:
    """One POST: by whom, for what, and what it has to be answered with."""

    api_key: str
    key: str
    identity: str
    words: int

    def problem(self, body: dict[str, object]) -> str | None:
        """What is wrong with a 200; None if it is this POST's own result."""
        text = " ".join(f"word{number + 1}" for number in range(self.words))
        own = {"id": self.identity, "key": self.key, "text": text, "tokensUsed": 50 + self.words}
        wrong = {name: body.get(name) for name, value in own.items() if body.get(name) != value}
        return f"{self.key} was answered with {wrong}" if wrong else None


@dataclass
class PostFigures:
    """What came of it."""

    posts: int
    places: int
    statuses: Counter[int] = field(default_factory=Counter)
    answered: int = 0
    """With its own result, in the end."""
    memory_at_rest_bytes: int = 0
    memory_peak_bytes: int = 0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        at_rest, peak = (each / 1024**2 for each in (self.memory_at_rest_bytes, self.memory_peak_bytes))
        return [
            f"{self.posts:,} POSTs at once, {self.places:,} places: first answers {statuses}",
            f"answered with their own result in the end: {self.answered:,}",
            f"memory of the API: {at_rest:.0f} MiB at rest, {peak:.0f} MiB at most",
        ]


def run(ground: Ground, *, posts: int, places: int, page_seconds: float) -> PostFigures:
    """Uploads, POSTs all at once, and asks again for what was turned away or timed out until it is answered."""
    system, figures = ground.system, PostFigures(posts, places)
    keys = [system.account(f"user-{number}", _TOKENS) for number in range(_USERS)]
    system.ledger()
    api = system.stage.start_ready(
        "services.api",
        port_variable="OCR_API_PORT",
        OCR_API_WAITERS_MAX=str(places),
        OCR_API_WAITERS_PER_USER_MAX=str(places),
        OCR_API_WAIT_SECONDS_DEFAULT="100",
    )
    system.extractor(SCRIPTED_SLOW_SECONDS=str(page_seconds))
    wanted = [_upload(ground, keys, number) for number in range(posts)]
    with _Memory(api) as memory:
        _take(_answers(_post_all(api.port, wanted, posts)), figures, first=True)
    figures.memory_at_rest_bytes, figures.memory_peak_bytes = memory.at_rest_bytes, memory.peak_bytes
    if memory.peak_bytes - memory.at_rest_bytes > MEMORY_GROWTH_BYTES_MAX:
        figures.problems.append(f"the API grew to {memory.peak_bytes:,} bytes")

    open_posts = wanted

    def all_answered() -> bool:
        nonlocal open_posts
        answers = _answers(_post_all(api.port, open_posts, _AGAIN_AT_A_TIME))
        open_posts = [post for post in open_posts if answers[post][0] != 200]
        _take(answers, figures, first=False)
        return not open_posts

    wait_for(all_answered, "every POST is answered", _SETTLED_SECONDS_MAX)
    wait_for(lambda: len(ground.seen.look().charged) == posts, "every result is charged", _SETTLED_SECONDS_MAX)
    figures.problems += ground.seen.doubled()
    spent = sum(50 + post.words for post in wanted)
    wait_for(lambda: sum(system.balance(api, key) for key in keys) == _USERS * _TOKENS - spent, "the balances", 120)
    return figures


def _upload(ground: Ground, keys: list[str], number: int) -> Post:
    user, words = number % _USERS, number % 60 + 1
    key = f"ocr/user-{user}/{number}.png"
    etag = ground.system.stage.upload(key, picture(words, SLOW, seed=number))
    return Post(keys[user], key, result_id(ground.system.stage.store.uploads_bucket, key, etag), words)


def _take(answers: dict[Post, tuple[int, dict[str, object], str | None]], figures: PostFigures, *, first: bool) -> None:
    for post, (status, body, retry_after) in answers.items():
        if first:
            figures.statuses[status] += 1
        elif status == 200:
            figures.answered += 1
        if status == 200 and (problem := post.problem(body)) is not None:
            figures.problems.append(problem)
        if status == 503 and (body.get("code") != "overloaded" or int(retry_after or 0) < 1):
            figures.problems.append(f"{post.key}: 503 {body.get('code')} with Retry-After {retry_after}")
        if status not in (200, 503, 504):
            figures.problems.append(f"{post.key}: {status} {body}")


def _answers(
    posting: Coroutine[Any, Any, dict[Post, tuple[int, dict[str, object], str | None]]],
) -> dict[Post, tuple[int, dict[str, object], str | None]]:
    """In a thread of its own: where a browser was driven before, the main one has a loop that runs for ever."""
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(asyncio.run, posting).result()


async def _post_all(
    port: int, posts: list[Post], at_a_time: int
) -> dict[Post, tuple[int, dict[str, object], str | None]]:
    """Status, body and Retry-After of each."""
    turns = asyncio.Semaphore(at_a_time)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=at_a_time)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=_ANSWER_SECONDS_MAX
    ) as client:

        async def post(each: Post) -> tuple[int, dict[str, object], str | None]:
            async with turns:
                answer = await client.post(
                    "/api/ocr/process", json={"key": each.key}, headers={"X-API-Key": each.api_key}
                )
            return answer.status_code, answer.json(), answer.headers.get("retry-after")

        return dict(zip(posts, await asyncio.gather(*(post(each) for each in posts)), strict=True))


class _Memory:
    """Watches what a process keeps resident while the block runs."""

    def __init__(self, worker: Worker) -> None:
        self._process = psutil.Process(worker.process.pid)
        self.at_rest_bytes = self.peak_bytes = self._resident_bytes()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.peak_bytes = max(self.peak_bytes, self._resident_bytes())

    def _resident_bytes(self) -> int:
        return int(self._process.memory_info().rss)
