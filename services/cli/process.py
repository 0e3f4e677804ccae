"""`ocr-services process`: files in, text out, through the API; made to stand in a pipeline."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from ocr_services_client import Client, OcrServicesError, Result
    from services.cli.remembered_uploads import RememberedUploads

EXIT_SOME_FAILED = 1
EXIT_CANNOT_START = 2
EXIT_NO_TOKENS = 3

_STDIN = "-"
_STOPPING = frozenset({"invalid_api_key", "forbidden", "insufficient_tokens"})
"""What will not be any better for the next file."""


def process(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Images and PDFs; `-` is standard input.")],
    url: Annotated[str, typer.Option(envvar="OCR_URL", help="Where the API is.")] = "http://127.0.0.1:8000",
    api_key: Annotated[
        str, typer.Option(envvar="OCR_API_KEY", help="Better in the environment: others see arguments.")
    ] = "",
    json_lines: Annotated[bool, typer.Option("--json", help="A line of JSON a file instead of its text.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Files on their way at a time.")] = 4,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for one file.")] = 600.0,
    again: Annotated[bool, typer.Option("--again", help="Upload, and pay for, what was uploaded before.")] = False,
    state: Annotated[
        Path | None, typer.Option(help="Where uploads are remembered. Default: below $XDG_STATE_HOME.")
    ] = None,
) -> None:
    """Upload files, wait, and print their text in the order given; texts of several files have a heading each.

    Run again, whatever ended the run before: what was uploaded is neither uploaded nor charged a second time.
    Errors go to standard error. Exit status: 0 all read, 1 some not, 2 cannot start or key refused, 3 no tokens left.
    """
    from ocr_services_client import Client, OcrServicesError
    from services.cli.remembered_uploads import RememberedUploads, default_path

    _say_what_is_no_file(files)
    remembered = RememberedUploads(state or default_path(), url)
    try:
        client = Client(url, api_key or None)
    except OcrServicesError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from error
    with client, ThreadPoolExecutor(jobs) as pool:
        reader = Reader(client, remembered, timeout_seconds=timeout, again=again)
        outcomes = [pool.submit(reader.read, name) for name in files]
        try:
            status = _print_all(outcomes, json_lines=json_lines)
        except BrokenPipeError:
            # Whoever reads the output (`head`, say) has seen enough.
            _leave(128 + signal.SIGPIPE)
        except KeyboardInterrupt:
            typer.echo("interrupted; run it again to go on where it was", err=True)
            _leave(128 + signal.SIGINT)
    raise typer.Exit(status)


@dataclass(frozen=True)
class Outcome:
    """What became of one file: its text, or why there is none; neither where it was not begun."""

    name: str
    result: Result | None = None
    error: OcrServicesError | OSError | None = None


class Reader:
    """Reads one file; used by several threads."""

    def __init__(self, client: Client, remembered: RememberedUploads, *, timeout_seconds: float, again: bool) -> None:
        self._client = client
        self._remembered = remembered
        self._timeout_seconds = timeout_seconds
        self._again = again
        self._stopped = Event()

    def stop(self) -> None:
        """Begins no other file."""
        self._stopped.set()

    def read(self, name: str) -> Outcome:
        """The outcome of one file; raises nothing that a file, the API or the network can cause."""
        from ocr_services_client import ApiError, OcrServicesError

        if self._stopped.is_set():
            return Outcome(name)
        try:
            body = sys.stdin.buffer.read() if name == _STDIN else Path(name).read_bytes()
            return Outcome(name, self._result_of(body, "stdin" if name == _STDIN else Path(name).name))
        except (OcrServicesError, OSError) as error:
            if isinstance(error, ApiError) and error.code in _STOPPING:
                self.stop()
            return Outcome(name, error=error)

    def _result_of(self, body: bytes, filename: str) -> Result:
        from ocr_services_client import ApiError, MaybeStored

        if not self._again and self._remembered.may_lie_somewhere(body):
            raise MaybeStored(
                "an earlier run sent it and had no answer, so it may be stored: look among your results, and use "
                "--again to upload, and pay for, it once more"
            )
        known = None if self._again else self._remembered.key_of(body)
        if known is not None:
            try:
                return self._client.process(known, timeout_seconds=self._timeout_seconds)
            except ApiError as error:
                # The upload broke off then, or it is gone since, or it was another user's.
                if error.code != "file_not_found":
                    raise
        # Remembered before it is sent: a run that is killed in between may have uploaded it, and it is then charged.
        key = self._client.upload(body, filename, on_key=lambda key: self._remembered.remember(body, key))
        return self._client.process(key, timeout_seconds=self._timeout_seconds)


def _say_what_is_no_file(files: list[str]) -> None:
    for name in files:
        if name != _STDIN and not Path(name).is_file():
            kind = "a folder: name the files in it" if Path(name).is_dir() else "no file"
            raise typer.BadParameter(f"{name} is {kind}", param_hint="FILES")
    if files.count(_STDIN) > 1:
        raise typer.BadParameter("standard input can be read once", param_hint="FILES")


def _print_all(outcomes: list[Future[Outcome]], *, json_lines: bool) -> int:
    """Prints each outcome as soon as those before it are there; returns the exit status."""
    from ocr_services_client import Unreachable

    status, skipped, is_away = 0, 0, False
    for outcome in _with_progress(outcomes):
        if outcome.result is None and outcome.error is None:
            skipped += 1
            continue
        status = max(status, _status_of(outcome.error))
        is_away = is_away or isinstance(outcome.error, Unreachable)
        if outcome.error is not None:
            typer.echo(f"{outcome.name}: {_sentence(outcome.error)}", err=True)
        if json_lines:
            print(json.dumps(_row(outcome), ensure_ascii=False), flush=True)
        elif outcome.result is not None:
            if len(outcomes) > 1:
                print(f"==> {outcome.name} <==")
            print(_in_lines(outcome.result.text), flush=True)
    if skipped:
        typer.echo(f"{skipped} files were not begun", err=True)
    if is_away:
        typer.echo("is the address right? set OCR_URL (`make up` prints it) or --url", err=True)
    if status == EXIT_NO_TOKENS:
        typer.echo(
            "run the same command again after a top-up: what is uploaded is neither uploaded nor charged again",
            err=True,
        )
    return status


def _status_of(error: OcrServicesError | OSError | None) -> int:
    """The exit status of a run in which nothing worse happened."""
    from ocr_services_client import ApiError

    if error is None:
        return 0
    if not isinstance(error, ApiError) or error.code not in _STOPPING:
        return EXIT_SOME_FAILED
    return EXIT_NO_TOKENS if error.code == "insufficient_tokens" else EXIT_CANNOT_START


def _in_lines(text: str) -> str:
    """The text with each page on lines of its own: `grep` must not meet the end of one with the head of the next."""
    return text.replace("\f", "\n\f")


def _with_progress(outcomes: list[Future[Outcome]]) -> Iterator[Outcome]:
    """Each outcome in turn, with a progress bar on stderr where a person is watching."""
    if len(outcomes) < 2 or not sys.stderr.isatty():
        yield from (outcome.result() for outcome in outcomes)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("Reading", total=len(outcomes))
        for outcome in outcomes:
            outcome.add_done_callback(lambda _: progress.advance(bar))
        yield from (outcome.result() for outcome in outcomes)


def _row(outcome: Outcome) -> dict[str, Any]:
    from ocr_services_client import ApiError

    row: dict[str, Any] = {"file": outcome.name}
    if outcome.result is not None:
        result = outcome.result
        return row | {
            "id": result.id,
            "text": result.text,
            "key": result.key,
            "fileUrl": result.file_url,
            "createdAt": result.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "wordCount": result.word_count,
            "tokensUsed": result.tokens_used,
            "language": result.language,
        }
    error = outcome.error
    if isinstance(error, ApiError):
        return row | {"error": error.message, "code": error.code, "requestId": error.request_id}
    return row | {"error": str(error), "code": _code_of(error)}


def _code_of(error: OcrServicesError | OSError | None) -> str:
    from ocr_services_client import MaybeStored, TimedOut

    if isinstance(error, OSError):
        return "unreadable_file"
    if isinstance(error, MaybeStored):
        return "maybe_stored"
    return "timed_out" if isinstance(error, TimedOut) else "unreachable"


def _sentence(error: OcrServicesError | OSError) -> str:
    from ocr_services_client import ApiError

    if not isinstance(error, ApiError):
        return str(error.strerror if isinstance(error, OSError) and error.strerror else error)
    request = f", request {error.request_id}" if error.request_id else ""
    return f"{error.message} ({error.code}{request})"


def _leave(status: int) -> NoReturn:
    """Ends at once: threads may wait for results for minutes, and nothing that they do would be lost."""
    sys.stderr.flush()
    os._exit(status)
