"""No secret in logs or answers: everything runs at its most talkative, much of it fails, and then all is searched."""

import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from sqlalchemy import make_url

from schemas.events import ResultCompleted, ResultFailed
from schemas.topics import OBJECT_STORE_EVENTS, REQUESTS
from tests.integration.webhooks.receiver import Receiver
from tests.support.parts import DatabasePart
from tests.support.scripted_engine import CRASH, picture
from tests.support.stage import Worker, wait_for
from tests.support.system import Answer, System

_GRANT = 1_000_000
_DATABASE_PASSWORD = "correct-horse/battery%staple"
_NOTIFICATION_TOKEN = "notification-token-4b1c9e"
_SASL_PASSWORD = "sasl-password-77d2f0"
_HINT_LENGTH = 10
"""So much of an API key is shown in lists, to tell keys apart; what comes after it opens doors."""


@pytest.mark.timeout(900)
def test_no_secret_is_in_any_log_or_answer(system: System, postgres: DatabasePart) -> None:
    _configure_secrets(system)
    key = system.account("alice", _GRANT)
    receiver = Receiver()
    workers = [system.ledger(), system.api(), system.extractor(), system.stage.start_ready("services.webhooks")]
    workers.append(system.intake(OCR_INTAKE_HTTP_PORT="0", OCR_INTAKE_HTTP_TOKEN=_NOTIFICATION_TOKEN))
    api = workers[1]
    try:
        webhook = _command(system, "webhooks", "add", "alice", receiver.url)
        answers = _use(system, api, key)
        answers += _misuse(system, api, key)
        wait_for(lambda: receiver.requests != [], "a webhook", 90)
        before = len(workers[0].output())
        postgres.kill()
        try:
            answers += [system.process(api, key, "ocr/alice/good.png"), _call(system, api, "/api/tokens/balance", key)]
            wait_for(lambda: "onnection" in workers[0].output()[before:], "the ledger misses its database", 90)
        finally:
            postgres.start()
    finally:
        receiver.close()
    for worker in workers:
        worker.process.terminate()
        worker.wait(60)
    said = {worker.log.name: worker.output() for worker in workers}
    said["answers"] = "\n".join(f"{answer.body} {answer.headers}" for answer in answers)
    assert all(said.values())
    assert any('"DEBUG"' in text for text in said.values()), "the most that can be logged"
    secrets = _secrets(system, key, webhook.stdout.strip())
    found = [(where, what) for where, text in said.items() for what, value in secrets.items() if value in text]
    assert found == []


def _configure_secrets(system: System) -> None:
    """Secrets where this installation has none: they are as secret where nobody asks for them."""
    url = make_url(system.database_url).set(password=_DATABASE_PASSWORD)
    system.stage.environment |= {
        "OCR_LOG_LEVEL": "DEBUG",
        "OCR_DATABASE_URL": url.render_as_string(hide_password=False),
        "OCR_KAFKA_SASL_USERNAME": "services",
        "OCR_KAFKA_SASL_PASSWORD": _SASL_PASSWORD,
        "OCR_WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
    }


def _secrets(system: System, api_key: str, webhook_secret: str) -> dict[str, str]:
    store = system.stage.store
    assert store.secret_key is not None
    assert len(webhook_secret) > 20
    secrets = {
        "API key": api_key[_HINT_LENGTH:],
        "object store's secret key": store.secret_key.get_secret_value(),
        "database password": _DATABASE_PASSWORD,
        "notification token": _NOTIFICATION_TOKEN,
        "SASL password": _SASL_PASSWORD,
        "webhook secret": webhook_secret.removeprefix("whsec_"),
    }
    return secrets | {f"{name}, quoted": quote(value, safe="") for name, value in secrets.items()}


def _use(system: System, api: Worker, key: str) -> list[Answer]:
    """What users do, failures of theirs included."""
    system.stage.upload("ocr/alice/good.png", picture(words=2))
    system.stage.upload("ocr/alice/text.png", b"just text")
    system.stage.upload("ocr/alice/crash.png", picture(words=3, script=CRASH))
    answers = [system.process(api, key, f"ocr/alice/{name}.png") for name in ("good", "text", "crash", "absent")]
    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) == 1, "the result", 90)
    wait_for(lambda: len(system.stage.read.events(ResultFailed)) == 2, "the failures", 90)
    return answers + [_call(system, api, path, key) for path in ("/api/tokens/balance", "/api/ocr/results?limit=5")]


def _misuse(system: System, api: Worker, key: str) -> list[Answer]:
    """What makes error messages: keys that are almost right, bodies that are none, records that cannot be decoded."""
    almost = key[:-1] + ("A" if key[-1] != "A" else "B")
    for topic in (REQUESTS, OBJECT_STORE_EVENTS):
        system.stage.produce_raw(topic, "k", b"not an event", [("authorization", key.encode())])
    return [
        system.process(api, almost, "ocr/alice/good.png"),
        system.process(api, None, "ocr/alice/good.png"),
        system.call(api, "POST", "/api/ocr/process", key, {"key": key}),
        system.call(api, "POST", "/api/ocr/process", key, {"key": ["x", key]}),
        system.call(api, "POST", f"/api/ocr/results/{key}", key),
        _call(system, api, f"/api/ocr/results?cursor={key}", key),
    ]


def _call(system: System, api: Worker, path: str, key: str) -> Answer:
    return system.call(api, "GET", path, key)


def _command(system: System, *arguments: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env=os.environ | system.stage.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
