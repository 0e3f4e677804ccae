"""`ocr-services up`: the embedded stack and every service on this machine, until Ctrl-C."""

import signal
from pathlib import Path
from typing import Annotated

import typer


def up(
    data: Annotated[Path, typer.Option(help="Where objects, documents and the ledger are kept.")] = Path("data"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the HTTP API; 0: any free one.")] = 0,
    json_line: Annotated[bool, typer.Option("--json", help="When all is ready, print one line of JSON.")] = False,
) -> None:
    """Start the embedded stack and every service; Ctrl-C stops them all."""
    # While all is still being imported there is nothing to tidy up: Ctrl-C ends it as it ends any program.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from services.local.up import run

    raise typer.Exit(run(data, api_port=port or None, as_json=json_line))
