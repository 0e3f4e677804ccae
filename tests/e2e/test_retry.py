"""After an upgrade of the recogniser: `ocr-services retry`, as an operator runs it, and what comes of it."""

import os
import signal
import subprocess
import sys
from collections import Counter

from schemas.events import ResultCompleted, ResultFailed, UsageRecorded
from tests.support.scripted_engine import CRASH, picture
from tests.support.stage import wait_for
from tests.support.system import System

_GRANT = 1_000_000
_SECONDS_MAX = 90.0


def test_failures_that_an_upgrade_can_read_are_read_charged_once_and_all_else_stays(system: System) -> None:
    key = system.account("alice", _GRANT)
    other = system.account("bob", _GRANT)
    system.ledger()
    api = system.api()
    system.intake()
    before = system.extractor()
    system.stage.upload("ocr/alice/good.png", picture(words=2))
    system.stage.upload("ocr/alice/text.png", b"just text, named .png")
    system.stage.upload("ocr/bob/hard.png", picture(words=6, script=CRASH))
    hard = [f"ocr/alice/hard-{number}.png" for number in range(2)]
    for number, name in enumerate(hard):
        system.stage.upload(name, picture(words=4, script=CRASH, seed=number))
    wait_for(lambda: len(system.stage.read.events(ResultFailed)) == 4, "four failures", _SECONDS_MAX)
    wait_for(lambda: len(system.stage.read.events(UsageRecorded)) == 5, "usage of all five", _SECONDS_MAX)
    first = system.process(api, key, hard[0])
    assert (first.status, first.body["code"]) == (422, "unreadable_document")

    before.signal(signal.SIGTERM)
    assert before.wait(60) == 0
    system.extractor(SCRIPTED_UPGRADED="1")
    told = _retry(system, "--code", "unreadable_document", "--user", "alice", "--dry-run")
    assert told.stdout.endswith("2 failures found\n"), told
    told = _retry(system, "--code", "unreadable_document", "--user", "alice")
    assert told.stdout.endswith("2 failures removed; the reconciler requests their objects again\n"), told
    assert all(name in told.stdout for name in hard)

    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) == 3, "both are read", _SECONDS_MAX)
    wait_for(lambda: system.balance(api, key) == _GRANT - 52 - 2 * 54, "one charge each", _SECONDS_MAX)
    for name in hard:
        answer = system.process(api, key, name)
        assert (answer.status, answer.body["tokensUsed"]) == (200, 54)
    text = system.process(api, key, "ocr/alice/text.png")
    assert (text.status, text.body["code"]) == (415, "unsupported_media_type"), "another code was not chosen"
    bobs = system.process(api, other, "ocr/bob/hard.png")
    assert (bobs.status, bobs.body["code"]) == (422, "unreadable_document"), "another user was not chosen"
    completed = Counter(event.result_id for event in system.stage.read.events(ResultCompleted))
    charged = Counter(event.usage_id for event in system.stage.read.events(UsageRecorded))
    assert set(completed.values()) == set(charged.values()) == {1}
    assert _retry(system, "--code", "unreadable_document", "--user", "alice").stdout.startswith("0 failures")


def _retry(system: System, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.cli", "retry", *arguments]
    environment = os.environ | system.stage.environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
