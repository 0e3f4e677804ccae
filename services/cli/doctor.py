"""`ocr-services doctor`: looks at everything the services stand on, and says what to do."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from services.cli.local_stack import choose_stack


def doctor(
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Look at the stack that `ocr-services up` runs on this data directory.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option(help="Where browsers load the console from, such as https://ocr.example.org.")
    ] = None,
) -> None:
    """Check broker, topics, buckets, notifications, database and models; exit status 1 when one fails."""
    from pydantic import ValidationError

    from services.doctor.examination import examine
    from services.doctor.findings import Finding, any_failed, as_json, as_lines, fail
    from services.runtime.logs import configure_logs
    from services.runtime.settings import ProcessSettings

    choose_stack(data)
    found: list[Finding] = []

    def tell(finding: Finding) -> None:
        found.append(finding)
        if not json_output:
            print("\n".join(as_lines([finding])), flush=True)

    try:
        # The clients' own complaints would come between the lines; what they mean stands in the findings.
        configure_logs("doctor", ProcessSettings(log_level="ERROR"))
        weights = os.environ.get("OCR_EXTRACTOR_WEIGHTS_DIR")
        for finding in examine(origin=origin, weights_dir=Path(weights) if weights else None):
            tell(finding)
    except ValidationError as error:
        for problem in error.errors():
            names = "_".join(str(part) for part in problem["loc"]).upper()
            tell(fail("settings", f"{error.title} {names}: {problem['msg']}", "see the settings in docs/operations.md"))
    if json_output:
        print(json.dumps(as_json(found)))
    raise typer.Exit(1 if any_failed(found) else 0)
