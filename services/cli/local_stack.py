"""`--data` after any command: it works on the stack that `ocr-services up` runs on that folder.

Without it, and without settings that name other parts, a command works on the stack that runs on `./data`."""

import functools
import inspect
import json
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

_Data = Annotated[
    Path | None,
    typer.Option("--data", help="Work on the stack that `ocr-services up` runs on this data directory."),
]
_NAME = "data"
_DEFAULT = Path("data")
_PARTS = ("OCR_KAFKA_", "OCR_S3_", "OCR_DATABASE_", "OCR_INTAKE_", "AWS_")
"""Whoever sets one of these means an installation of theirs."""


def add_data_option(app: typer.Typer, without: Collection[Callable[..., Any]] = ()) -> None:
    """Gives `--data` to every command below `app`, but those named and those that have one of their own.

    Called when all are registered.
    """
    for command in app.registered_commands:
        callback = command.callback
        if callback is None or callback in without or _NAME in inspect.signature(callback).parameters:
            continue
        command.callback = _with_data(callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_data_option(group.typer_instance)


def choose_stack(data: Path | None) -> None:
    """Takes the settings of the stack on `data`, or of one that runs on `./data` where nothing names other parts."""
    if data is not None:
        take_settings(data)
        return
    from services.local.layout import Layout

    if not any(name.startswith(_PARTS) for name in os.environ) and Layout(_DEFAULT.resolve()).is_running():
        typer.echo(f"on the stack that runs on ./{_DEFAULT}, as with --data {_DEFAULT}", err=True)
        take_settings(_DEFAULT)


def take_settings(data: Path) -> None:
    """Makes the stack's settings those of this process, in place of all it was given; ends it where no stack runs."""
    from services.local.layout import Layout

    try:
        given = json.loads(Layout(data.resolve()).stack.read_text("utf-8"))
    except FileNotFoundError:
        typer.echo(f"no stack runs on {data}: start it with `ocr-services up --data {data}`", err=True)
        raise typer.Exit(1) from None
    for name in [name for name in os.environ if name.startswith(("OCR_", "AWS_"))]:
        del os.environ[name]
    os.environ.update(given)


def _with_data(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def on_stack(*arguments: Any, data: Path | None = None, **options: Any) -> Any:
        choose_stack(data)
        return callback(*arguments, **options)

    # The command line is made from signature and annotations.
    signature = inspect.signature(callback)
    option = inspect.Parameter(_NAME, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Data)
    on_stack.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), option]
    )
    on_stack.__annotations__ = {**callback.__annotations__, _NAME: _Data}
    return on_stack
