"""Corrupt files of one user, as many as you like: each fails and costs nothing, and nothing halts."""

from __future__ import annotations

import io
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from PIL import Image

from schemas.events import ErrorCode, OcrRequest, Origin, ResultFailed
from schemas.topics import TOPICS
from services.runtime.kafka import dead_letters_name
from tests.load.ground import Ground
from tests.support.scripted_engine import CRASH, picture
from tests.support.stage import wait_for

_TOKENS = 1_000_000
_NEIGHBOURS = 10
_SECONDS_MAX = 3_600.0
_EXPECTED = {
    ErrorCode.UNREADABLE_DOCUMENT,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
}


@dataclass
class CorruptFigures:
    """What came of it."""

    files: int
    seconds: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    neighbours: int = 0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        codes = ", ".join(f"{code}: {count:,}" for code, count in sorted(self.codes.items()))
        return [
            f"{self.files:,} corrupt files of one user in {self.seconds:.0f} s: {codes}",
            f"{self.neighbours} good files of another user were read among them; nothing halted, nothing was charged",
        ]


def run(ground: Ground, *, files: int, crashing: int) -> CorruptFigures:
    """Asks for `files` corrupt files, so many of which end the process that decodes them, and some good ones."""
    system, figures = ground.system, CorruptFigures(files)
    keys = {user: system.account(user, _TOKENS) for user in ("corrupt", "neighbour")}
    ledger, api, extractor = system.ledger(), system.api(), system.extractor()
    chance = random.Random(11)
    bodies = [(CORRUPTIONS[number % len(CORRUPTIONS)](chance), number) for number in range(files - crashing)]
    bodies += [(picture(script=CRASH, seed=number), files - crashing + number) for number in range(crashing)]
    chance.shuffle(bodies)
    started = time.monotonic()
    ground.ask_for_uploads(_uploaded(ground, "corrupt", bodies))
    ground.ask_for_uploads(
        _uploaded(ground, "neighbour", [(picture(seed=number), number) for number in range(_NEIGHBOURS)])
    )
    wait_for(
        lambda: (
            len(ground.seen.look().failed) + len(ground.seen.completed) >= files + _NEIGHBOURS
            or extractor.exit_status is not None
        ),
        "every file has a result",
        _SECONDS_MAX,
    )
    figures.seconds = time.monotonic() - started
    figures.neighbours = ground.seen.completed_of("neighbour")
    wait_for(lambda: len(ground.seen.look().charged) == files + _NEIGHBOURS, "usage", 120)
    figures.codes = Counter(event.error.code.value for event in system.stage.read.events(ResultFailed))
    figures.problems = ground.seen.doubled() + _problems(ground, figures)
    spent = _NEIGHBOURS * 53
    wait_for(lambda: system.balance(api, keys["neighbour"]) == _TOKENS - spent, "the neighbour's balance", 60)
    if system.balance(api, keys["corrupt"]) != _TOKENS:
        figures.problems.append("a corrupt file was charged")
    for name, worker in (("ledger", ledger), ("api", api), ("extractor", extractor)):
        if worker.exit_status is not None:
            figures.problems.append(f"the {name} ended: {worker.output()[-500:]}")
    return figures


def _problems(ground: Ground, figures: CorruptFigures) -> list[str]:
    problems = []
    if figures.neighbours != _NEIGHBOURS:
        problems.append(f"{figures.neighbours} neighbours were read, not {_NEIGHBOURS}")
    if sum(figures.codes.values()) != figures.files:
        problems.append(f"{sum(figures.codes.values())} files failed, not {figures.files}")
    problems += [f"files failed as {code}" for code in figures.codes.keys() - {code.value for code in _EXPECTED}]
    return problems + dead_letters(ground)


def dead_letters(ground: Ground) -> list[str]:
    """Topics of dead letters that hold any."""
    kafka, consumer = ground.system.stage.kafka, ground.consumer()
    try:
        ends = {
            topic.dead_letters: consumer.get_watermark_offsets(
                ground.place(dead_letters_name(kafka, topic)), timeout=30
            )
            for topic in TOPICS
        }
    finally:
        consumer.close()
    return [f"{high - low} dead letters on {name}" for name, (low, high) in ends.items() if high > low]


def _uploaded(ground: Ground, user: str, bodies: list[tuple[bytes, int]]) -> list[OcrRequest]:
    stage = ground.system.stage

    def upload(body: tuple[bytes, int]) -> OcrRequest:
        key = f"ocr/{user}/{body[1]}.png"
        return stage.request(key, stage.upload(key, body[0]), origin=Origin.NOTIFICATION)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(upload, bodies))


def _noise(chance: random.Random) -> bytes:
    return chance.randbytes(200)


def _truncated(chance: random.Random) -> bytes:
    return picture(words=20, seed=chance.randrange(60_000))[: chance.randint(40, 80)]


def _bad_header(chance: random.Random) -> bytes:
    """A PNG whose width or height was changed after its checksum was made."""
    body = bytearray(picture(words=20, seed=chance.randrange(60_000)))
    body[chance.randrange(16, 24)] ^= 0xFF
    return bytes(body)


def _half_a_jpeg(chance: random.Random) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (chance.randrange(256), 3, 5)).save(buffer, "JPEG")
    return buffer.getvalue()[: chance.randint(20, 100)]


def _broken_pdf(chance: random.Random) -> bytes:
    return b"%PDF-1.7\n" + chance.randbytes(120)


CORRUPTIONS = (_noise, _truncated, _bad_header, _half_a_jpeg, _broken_pdf)
