"""The whole pipeline once, on a sample image, with everything it touches shown.

It runs on a data directory of its own, which it removes, and leaves nothing running. The steps are those of a user:
upload, be found processed, ask, be charged once, and be seen by somebody who only listens.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from pydantic.alias_generators import to_camel

from ocr_services_client import Client, OcrServicesError, Result
from schemas.base import format_time
from schemas.events import BalanceChanged, EntryPosted, ResultCompleted, ResultFailed, ResultRefused
from services.local.accounts import LocalUser
from services.local.broker import EmbeddedPartMissingError
from services.local.downstream import Downstream, Seen
from services.local.environment import settings_from
from services.local.limits import EMBEDDED_LIMITS
from services.local.process import ProcessNotReadyError
from services.local.stack import Stack, StoppedWhileStarting
from services.runtime.settings import KafkaSettings
from services.runtime.shutdown import stop_on_signals

_SAMPLE = Path(__file__).parents[2] / "samples" / "receipt.jpg"
_STEP_SECONDS_MAX = 60.0
_STOPPED = "stopped before its end"
_STOPPED_STATUS = 130
"""As shells tell of a program that Ctrl-C has ended."""


class DemoFailed(RuntimeError):
    """A step did not do what it should; the message says which."""


class Stages:
    """How long each stage took, in the order they ended."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self._stages: list[tuple[str, float]] = []

    def end(self, title: str) -> float:
        """Ends the stage that runs since the last one ended; returns its seconds."""
        now = time.monotonic()
        seconds = now - self._last
        self._stages.append((title, seconds))
        self._last = now
        return seconds

    def show(self) -> None:
        """Prints them all."""
        _title("How long it took")
        for title, seconds in [*self._stages, ("in all", self._last - self._started)]:
            print(f"  {seconds:8.3f} s  {title}")


def run() -> int:
    """Runs the demo; the exit status says whether every step did what it should."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("image", nargs="?", type=Path, default=_SAMPLE, help="a JPEG, PNG, TIFF, PDF, ...")
    image: Path = parser.parse_args().image
    if not image.is_file():
        parser.error(f"{image} is no file")
    directory = Path(tempfile.mkdtemp(prefix="ocr-demo-"))
    status = _run(image, directory)
    if status in (0, _STOPPED_STATUS):
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"The logs are in {directory / 'logs'}.", file=sys.stderr)
    return status


def _run(image: Path, directory: Path) -> int:
    stop = stop_on_signals()
    stages = Stages()
    stack = Stack(directory, _say, stop)
    problem: str | None = None
    try:
        _title("Starting the embedded stack")
        user = stack.start()
        stages.end("embedded stack started, all services ready")
        flow = _Flow(stack, user, image, stages, stop)
        flow.start()
        stack.watch()  # here, because what a thread starts ends with that thread
        problem = flow.problem
    except StoppedWhileStarting:
        problem = _STOPPED
    except (EmbeddedPartMissingError, ProcessNotReadyError) as error:
        problem = str(error)
    finally:
        stack.stop()
    if problem == _STOPPED:
        print("Stopped.", file=sys.stderr)
        return _STOPPED_STATUS
    if problem is not None:
        print(f"The demo failed: {problem}", file=sys.stderr)
        return 1
    stages.end("everything stopped again")
    stages.show()
    _title("What the embedded stack does not guarantee")
    for line in EMBEDDED_LIMITS:
        print(f"  - {line}")
    print("\n`make up` starts it to stay.")
    return 0


class _Flow(threading.Thread):
    """The user's steps, beside the thread that watches over the processes; ends the watch when it is through."""

    def __init__(self, stack: Stack, user: LocalUser, image: Path, stages: Stages, stop: threading.Event) -> None:
        super().__init__(name="demo", daemon=True)
        self._arguments = (stack, user, image, stages)
        self._stop_event = stop
        self.problem: str | None = _STOPPED
        """What went wrong; None once every step did what it should."""

    def run(self) -> None:
        """Goes through the steps."""
        try:
            _steps(*self._arguments)
            self.problem = None
        except (DemoFailed, OcrServicesError, OSError, httpx.HTTPError) as error:
            self.problem = str(error) or type(error).__name__
        except BaseException as error:
            self.problem = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._stop_event.set()


def _steps(stack: Stack, user: LocalUser, image: Path, stages: Stages) -> None:
    downstream = Downstream(settings_from(KafkaSettings, stack.environment))
    downstream.start()
    try:
        # A transport of its own: proxies of the environment must not get between this machine and itself.
        with Client(stack.api_url, user.api_key, transport=httpx.HTTPTransport()) as api:
            before = api.balance().tokens
            _title(f"Balance before: {before} tokens")
            key = api.upload(image.read_bytes(), image.name)
            stages.end("upload through a presigned URL")
            _say(f"uploaded {image.name} as {key}")
            found = downstream.wait_for(lambda seen: _is_outcome_of(seen, key), _STEP_SECONDS_MAX)
            stages.end("processed by itself, seen downstream")
            _require_completed(found)
            result = api.process(key)
            stages.end("POST /api/ocr/process")
            _title("POST /api/ocr/process")
            _show(_as_answered(result))
            entry = downstream.wait_for(lambda seen: _is_entry_of(seen, result.id), _STEP_SECONDS_MAX)
            after = _settled_balance(api, downstream, user, before - result.tokens_used)
            stages.end("charged: entry and balance seen downstream")
            _title(f"Balance after: {after} tokens, {before - after} fewer")
            if entry is None or after != before - result.tokens_used:
                raise DemoFailed(f"{result.tokens_used} tokens should have been charged once, not {before - after}")
            _title("The ledger entry")
            _show(entry.event.data.model_dump(mode="json", by_alias=True, exclude_none=True))
    finally:
        downstream.close()
    _show_events(downstream.seen())


def _as_answered(result: Result) -> dict[str, Any]:
    """The fields as the API names them."""
    fields = dataclasses.asdict(result) | {"created_at": format_time(result.created_at)}
    return {to_camel(name): value for name, value in fields.items()}


def _is_outcome_of(seen: Seen, key: str) -> bool:
    data = seen.event.data
    return isinstance(data, ResultCompleted | ResultFailed | ResultRefused) and data.key == key


def _is_entry_of(seen: Seen, result_id: str) -> bool:
    data = seen.event.data
    return isinstance(data, EntryPosted) and data.result_id == result_id


def _require_completed(found: Seen | None) -> None:
    if found is None:
        raise DemoFailed("the upload was not processed in time")
    data = found.event.data
    if isinstance(data, ResultFailed | ResultRefused):
        raise DemoFailed(f"the upload was not read: {data.error.code} ({data.error.reason})")


def _settled_balance(api: Client, downstream: Downstream, user: LocalUser, expected: int) -> int:
    """The balance once the event of the expected one was seen, and the API has read it too."""
    downstream.wait_for(
        lambda seen: (
            isinstance(data := seen.event.data, BalanceChanged)
            and (data.user_id, data.balance) == (user.user_id, expected)
        ),
        _STEP_SECONDS_MAX,
    )
    deadline = time.monotonic() + _STEP_SECONDS_MAX
    while (balance := api.balance().tokens) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return balance


def _show_events(events: list[Seen]) -> None:
    _title("Seen by a downstream consumer, without a word to the API")
    for seen in events:
        if not seen.event.attributes.type.startswith("ledger.heartbeat"):
            position = f"{seen.topic}[{seen.partition}]@{seen.offset}"
            print(f"  {position:<22} {seen.event.attributes.type:<26} {seen.event.attributes.subject}")


def _show(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _title(text: str) -> None:
    print(f"\n{text}", flush=True)


def _say(line: str) -> None:
    print(f"  {line}", flush=True)
