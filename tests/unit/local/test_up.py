"""What `ocr-services up` prints when the stack is ready, and that it can be typed as it stands."""

import threading
from pathlib import Path

import pytest

from services.local.accounts import LocalUser
from services.local.services import services
from services.local.stack import Stack
from services.local.up import announce, program


def test_every_worker_is_listed_with_the_address_of_its_health(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack(tmp_path, print, threading.Event())
    stack.services = services(stack.layout, stack.environment, "queue", 8000)
    announce(stack, LocalUser("demo", "key"), as_json=False)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  health ")]
    told = [worker.process.environment["OCR_HEALTH_PORT"] for worker in stack.workers if worker.process.environment]
    assert line == (
        "  health        ledger 127.0.0.1:{}, extractor 127.0.0.1:{}, intake 127.0.0.1:{}, webhooks 127.0.0.1:{}: "
        "/metrics, /readyz, /healthz"
    ).format(*told)


@pytest.mark.parametrize(
    ("started_as", "printed"),
    [
        (".venv/bin/ocr-services", ".venv/bin/ocr-services"),
        ("/clone/services/cli/__main__.py", "ocr-services"),
    ],
)
def test_commands_are_named_as_this_one_was_started(started_as: str, printed: str) -> None:
    assert program(started_as) == printed
