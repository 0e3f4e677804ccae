"""What `ocr-services up` does: start the stack, say where it is, watch it, stop it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from services.local.accounts import LocalUser
from services.local.broker import EmbeddedPartMissingError
from services.local.environment import UPLOADS_BUCKET
from services.local.layout import DirectoryInUseError, Layout
from services.local.limits import EMBEDDED_LIMITS
from services.local.object_store import ACCESS_KEY, SECRET_KEY
from services.local.ports import LOOPBACK
from services.local.process import ProcessNotReadyError
from services.local.stack import Stack, StoppedWhileStarting
from services.runtime.shutdown import stop_on_signals

_PROGRAM = "ocr-services"


def run(directory: Path, *, api_port: int | None, as_json: bool) -> int:
    """Runs the stack on a data directory until a signal; returns the exit status.

    Progress goes to standard error; standard output gets the summary, or the one line of JSON.
    """
    stop = stop_on_signals()
    try:
        with Layout(directory).locked():
            stack = Stack(directory, _say, stop, api_port)
            try:
                user = stack.start()
                announce(stack, user, as_json=as_json)
                stack.watch()
            finally:
                _say("stopping")
                stack.stop()
    except StoppedWhileStarting:
        return 0
    except (DirectoryInUseError, EmbeddedPartMissingError, ProcessNotReadyError) as error:
        _say(str(error))
        return 1
    _say("stopped")
    return 0


def summary(stack: Stack, user: LocalUser) -> dict[str, str]:
    """What a script needs to use the stack."""
    return {
        "url": stack.api_url,
        "apiKey": user.api_key,
        "userId": user.user_id,
        "bootstrapServers": stack.broker.bootstrap_servers,
        "s3Endpoint": stack.store.endpoint_url,
        "bucket": UPLOADS_BUCKET,
        "accessKey": ACCESS_KEY,
        "secretKey": SECRET_KEY,
    }


def console_url(stack: Stack, user: LocalUser) -> str:
    """The console's address, with the key in its fragment: browsers send that to nobody, and the page removes it."""
    return f"{stack.api_url}/#key={user.api_key}"


def program(started_as: str) -> str:
    """How a command is called in the shell that this one was started from: `.venv/bin/ocr-services` by `make up`."""
    return started_as if Path(started_as).name == _PROGRAM else _PROGRAM


def readme_exports(facts: Mapping[str, str]) -> str:
    """The line of shell that the examples of README.md begin with; `facts` as `summary` gives them."""
    return (
        f"export OCR_URL={facts['url']} OCR_API_KEY='{facts['apiKey']}' OCR_S3={facts['s3Endpoint']} "
        f"OCR_KAFKA={facts['bootstrapServers']}"
    )


def announce(stack: Stack, user: LocalUser, *, as_json: bool) -> None:
    """Prints where the stack is: the summary as one line of JSON, or all a person needs."""
    if as_json:
        print(json.dumps(summary(stack, user)), flush=True)
        return
    key = f"ocr/{user.user_id}/receipt.jpg"
    body = json.dumps({"key": key})
    lines = [
        "",
        f"OCR Services is ready:  {console_url(stack, user)}",
        "  (the console, signed in: drop an image there)",
        f"  API           {stack.api_url}",
        f"  API key       {user.api_key}  (user {user.user_id})",
        f"  Kafka         {stack.broker.bootstrap_servers}",
        f"  S3            {stack.store.endpoint_url}, bucket {UPLOADS_BUCKET}",
        f"  health        {_worker_addresses(stack)}: /metrics, /readyz, /healthz",
        f"  data, logs    {stack.layout.root}",
        f"  commands      {program(sys.argv[0])} keys|tokens|webhooks|doctor|... --data {stack.layout.root}",
        f"  documentation {stack.api_url}/docs",
        "",
        "What it does not guarantee:",
        *(f"  - {line}" for line in EMBEDDED_LIMITS),
        "",
        "Try:",
        f"  curl -T samples/receipt.jpg {stack.store.endpoint_url}/{UPLOADS_BUCKET}/{key}",
        f"  curl {stack.api_url}/api/ocr/process -H 'X-API-Key: {user.api_key}' \\",
        f"    -H 'Content-Type: application/json' -d '{body}'",
        "",
        "For the examples of README.md:",
        f"  {readme_exports(summary(stack, user))}",
        "",
        "Ctrl-C stops everything.",
    ]
    print("\n".join(lines), flush=True)


def _worker_addresses(stack: Stack) -> str:
    """Where the workers answer for health and metrics; the API does on its own port."""
    return ", ".join(f"{worker.name} {LOOPBACK}:{worker.port}" for worker in stack.workers)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
