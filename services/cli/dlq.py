"""`ocr-services dlq list|show|replay`: undecodable records, why they were not taken, and once more."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.runtime.dead_letter_topics import DeadLetter

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, replay.")

TopicName = Annotated[str | None, typer.Option("--topic", help="Only those of this topic, such as ocr.uploads.")]
_SHOWN_BYTES_MAX = 100_000


@app.command("list")
def list_letters(
    topic: TopicName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List dead letters with the reason of each, oldest first."""
    count = 0
    with _letters(topic) as letters:
        for letter in letters:
            count += 1
            print(json.dumps(_fields(letter)) if as_json else f"{letter.id}  {_time(letter)}  {letter.reason}")
    if not as_json:
        print(f"{count} dead letters")


@app.command()
def show(letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Show one dead letter with its headers and its body; `truncated_from_bytes` tells of one that is cut."""
    letter = _find([letter_id])[0]
    headers = {name: _text(value) for name, value in letter.headers}
    body = None if letter.value is None else letter.value[:_SHOWN_BYTES_MAX].decode("utf-8", "backslashreplace")
    print(json.dumps(_fields(letter) | {"headers": headers, "body": body}, indent=2, ensure_ascii=False))


@app.command()
def replay(
    letter_ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="As `list` shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that `list` shows.")] = False,
    topic: TopicName = None,
) -> None:
    """Send records to their topics again, as they came: after an upgrade that can decode them.

    A letter that is cut is refused, the others are sent; the exit status is 1 then.
    """
    from services.runtime.dead_letter_topics import replay as run
    from services.runtime.errors import BrokerUnavailable
    from services.runtime.settings import KafkaSettings

    if bool(letter_ids) == everything:
        raise typer.BadParameter("name dead letters, or all of them with --all")
    if everything:
        with _letters(topic) as found:
            letters: Sequence[DeadLetter] = list(found)
    else:
        letters = _find(letter_ids or [])
    try:
        refused = run(KafkaSettings(), letters)
    except BrokerUnavailable as error:
        raise _failure(str(error)) from error
    print(f"{len(letters) - len(refused)} records sent again")
    for letter in refused:
        typer.echo(f"{letter.id} is not sent: it is cut, {_cut(letter)}; its producer has to send it again", err=True)
    if refused:
        raise typer.Exit(1)


@contextmanager
def _letters(topic: str | None) -> "Iterator[Iterator[DeadLetter]]":
    from schemas.topics import TOPICS
    from services.runtime.dead_letter_topics import read_dead_letters
    from services.runtime.errors import BrokerUnavailable
    from services.runtime.logs import configure_logs
    from services.runtime.settings import KafkaSettings, ProcessSettings

    configure_logs("dlq", ProcessSettings(log_level="ERROR"))
    chosen = [each for each in TOPICS if topic in (None, each.name)]
    if not chosen:
        raise typer.BadParameter(f"no such topic; there are {', '.join(each.name for each in TOPICS)}")
    try:
        yield read_dead_letters(KafkaSettings(), chosen)
    except BrokerUnavailable as error:
        raise _failure(str(error)) from error


def _find(letter_ids: Sequence[str]) -> "list[DeadLetter]":
    with _letters(None) as letters:
        found = {letter.id: letter for letter in letters if letter.id in letter_ids}
    missing = [each for each in letter_ids if each not in found]
    if missing:
        raise _failure(f"there is no dead letter {missing[0]}")
    return [found[each] for each in letter_ids]


def _fields(letter: "DeadLetter") -> dict[str, object]:
    return {
        "id": letter.id,
        "topic": letter.topic,
        "at": _time(letter),
        "reason": letter.reason,
        "truncated_from_bytes": letter.truncated_from_bytes,
    }


def _cut(letter: "DeadLetter") -> str:
    return f"{len(letter.value or b'')} of the {letter.truncated_from_bytes} bytes of its value are kept"


def _time(letter: "DeadLetter") -> str:
    from schemas.base import format_time

    return "" if letter.at is None else format_time(letter.at)


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _failure(what: str) -> typer.Exit:
    typer.echo(what, err=True)
    return typer.Exit(1)
