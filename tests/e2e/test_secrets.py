"""No secret is told: everything runs at its most talkative, much of it fails, and then all that was said is searched.

That is every log with its spans, every answer and error, metrics, `--help`, and what commands say, `doctor` above all.
"""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from functools import partial
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from sqlalchemy import make_url

from schemas.events import ResultCompleted, ResultFailed
from schemas.topics import OBJECT_STORE_EVENTS, REQUESTS
from tests.integration.webhooks.receiver import Receiver
from tests.support.parts import DatabasePart
from tests.support.scripted_engine import CRASH, picture
from tests.support.stage import Worker, wait_for
from tests.support.system import SCRIPTED_EXTRACTOR, Answer, System

_GRANT = 1_000_000
_DATABASE_PASSWORD = "correct-horse/battery%staple"
_NOTIFICATION_TOKEN = "notification-token-4b1c9e"
_SASL_PASSWORD = "sasl-password-77d2f0"
_WRONG_STORE_SECRET = "store-secret-that-is-refused-51ce0a"
_DATABASE_OF_NOBODY = "postgresql://nobody:database-password-e83b91@127.0.0.1:1/none"
_HINT_LENGTH = 10
"""So much of an API key is shown in lists, to tell keys apart; what comes after it opens doors."""
_ASKED_FOR_HELP = (("--help",), ("doctor", "--help"))
_LOOKING = (("doctor",), ("keys", "list"), ("tokens", "balance", "alice"))
"""Each is run while all is well, and again while database, store and broker refuse."""


@pytest.mark.timeout(900)
def test_no_secret_is_in_any_log_answer_metric_or_command(system: System, postgres: DatabasePart) -> None:
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
        signature = _upload_by_ticket(system, api, key)
        said = _run_commands(system, "well", *_ASKED_FOR_HELP, *_LOOKING)
        said |= _run_commands(system, "refused", *_LOOKING, **_refused(system))
        said |= _refuse(system)
        wait_for(lambda: receiver.requests != [], "a webhook", 90)
        before = len(workers[0].output())
        postgres.kill()
        try:
            answers += [system.process(api, key, "ocr/alice/good.png"), _call(system, api, "/api/tokens/balance", key)]
            wait_for(lambda: "onnection" in workers[0].output()[before:], "the ledger misses its database", 90)
            said |= {f"metrics of {worker.log.name}": _metrics(worker) for worker in workers}
        finally:
            postgres.start()
    finally:
        receiver.close()
    for worker in workers:
        worker.process.terminate()
        worker.wait(60)
    said |= {worker.log.name: worker.output() for worker in workers}
    said["answers"] = "\n".join(f"{answer.body} {answer.headers}" for answer in answers)
    assert all(said.values())
    assert any('"DEBUG"' in text for text in said.values()), "the most that can be logged"
    assert any('"trace_id"' in text for text in said.values()), "spans are among what is searched"
    secrets = _secrets(system, key, webhook.stdout.strip()) | {"signature of an upload": signature}
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
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


def _refused(system: System) -> dict[str, str]:
    """Settings with which nothing answers: a database that is not there, a wrong secret, a broker without SASL."""
    return {
        "OCR_DATABASE_URL": _DATABASE_OF_NOBODY,
        "OCR_S3_SECRET_KEY": _WRONG_STORE_SECRET,
        "OCR_KAFKA_BOOTSTRAP_SERVERS": system.stage.kafka.bootstrap_servers,
        "OCR_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "OCR_KAFKA_SASL_MECHANISM": "PLAIN",
    }


def _refuse(system: System) -> dict[str, str]:
    """What services say that are refused by one dependency each; the rest of their surroundings is well."""
    refused, said = _refused(system), dict[str, str]()
    for module, prefix in (
        ("services.ledger", "OCR_DATABASE"),
        (SCRIPTED_EXTRACTOR, "OCR_S3"),
        ("services.webhooks", "OCR_KAFKA"),
    ):
        wrong = {name: value for name, value in refused.items() if name.startswith(prefix)}
        worker = system.stage.start(module, **wrong)
        wait_for(partial(_complains, worker), f"{module} is refused", 90)
        worker.process.kill()
        worker.wait(60)
        said[f"{module}, refused"] = worker.output()
    return said


def _complains(worker: Worker) -> bool:
    """Whether it said that something is wrong, or ended."""
    return worker.exit_status is not None or re.search(r'"(WARNING|ERROR)"', worker.output()) is not None


def _run_commands(system: System, when: str, *commands: tuple[str, ...], **changes: str) -> dict[str, str]:
    said = {}
    for arguments in commands:
        done = _run(system, arguments, changes)
        said[f"{' '.join(arguments)}, {when}"] = done.stdout + done.stderr
    return said


def _metrics(worker: Worker) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=60) as answer:
        told = bytes(answer.read())
    return told.decode()


def _upload_by_ticket(system: System, api: Worker, key: str) -> str:
    """Uploads by a presigned address, once as it says and once otherwise; returns its signature."""
    body = picture(words=1)
    wanted = {"filename": "ticket.png", "contentType": "image/png", "size": len(body)}
    ticket = system.call(api, "POST", "/api/files/upload", key, wanted)
    assert ticket.status == 201
    for content, status in ((body + b"more", 403), (body, 200)):
        headers = ticket.body["headers"] | {"Content-Length": str(len(content))}
        assert httpx.put(ticket.body["uploadUrl"], content=content, headers=headers).status_code == status
    answer = system.process(api, key, ticket.body["key"])
    assert answer.status == 200
    (signature,) = parse_qs(urlsplit(ticket.body["uploadUrl"]).query)["X-Amz-Signature"]
    return str(signature)


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
        "store's secret that is refused": _WRONG_STORE_SECRET,
        "password of a database that is not there": str(make_url(_DATABASE_OF_NOBODY).password),
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
    done = _run(system, arguments, {})
    assert done.returncode == 0, done.stderr
    return done


def _run(system: System, arguments: tuple[str, ...], changes: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env={**os.environ, **system.stage.environment, **changes},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
