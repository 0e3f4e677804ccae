"""`ocr-services up`: one line of JSON, everything restarted that dies, nothing left behind, nothing lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.local.running import READY_SECONDS_MAX, RunningStack, eventually, gone, running_stack

_SAMPLE = Path(__file__).parents[3] / "samples" / "receipt.jpg"
_SERVICES = ("ledger", "extractor", "intake", "webhooks", "api")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("up") / "data") as running:
        yield running


def test_the_line_of_json_tells_a_script_all_it_needs(stack: RunningStack) -> None:
    assert set(stack.facts) == {
        "url",
        "apiKey",
        "userId",
        "bootstrapServers",
        "s3Endpoint",
        "bucket",
        "accessKey",
        "secretKey",
    }
    for name in ("url", "s3Endpoint"):
        assert stack.facts[name].startswith("http://127.0.0.1:")
    assert stack.facts["bootstrapServers"].startswith("127.0.0.1:")


def test_everything_listens_on_the_loopback_interface_alone(stack: RunningStack) -> None:
    addresses = {
        connection.laddr.ip
        for process in stack.family()
        for connection in process.net_connections(kind="inet")
        if connection.status == "LISTEN"
    }
    assert addresses == {"127.0.0.1"}


def test_an_upload_is_read_by_itself_and_charged_once(stack: RunningStack) -> None:
    before = stack.balance()
    assert before is not None
    key = stack.put("uploaded.jpg", _SAMPLE.read_bytes())
    assert stack.balance_below(before)
    first, second = stack.post(key), stack.post(key)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert "HARBOUR" in first.json()["text"].upper()
    assert stack.balance() == before - first.json()["tokensUsed"]


@pytest.mark.parametrize("service", _SERVICES)
def test_a_service_that_dies_comes_back(stack: RunningStack, service: str) -> None:
    stack.kill_child(f"services.{service}")
    key = stack.put(f"after-{service}.jpg", _SAMPLE.read_bytes())
    assert eventually(lambda: _answers(stack, key), READY_SECONDS_MAX)


@pytest.mark.parametrize("part", ["tansu", "ministack"])
def test_a_part_that_dies_comes_back_with_its_wiring(stack: RunningStack, part: str) -> None:
    assert eventually(lambda: stack.balance() is not None)
    before = stack.balance()
    assert before is not None
    stack.kill_child(part)
    assert eventually(lambda: _put(stack, part), READY_SECONDS_MAX)
    assert stack.balance_below(before)


def test_a_second_stack_on_the_same_data_is_refused(stack: RunningStack) -> None:
    data = Path(stack.child("services.ledger").environ()["OCR_DATABASE_URL"].removeprefix("sqlite:///")).parent
    second = subprocess.run(
        [sys.executable, "-m", "services.cli", "up", "--json", "--data", str(data)],
        capture_output=True,
        text=True,
        timeout=READY_SECONDS_MAX,
        check=False,
    )
    assert second.returncode == 1
    assert "another stack runs" in second.stderr
    assert second.stdout == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel ends orphans on Linux only")
def test_data_survives_a_restart_and_what_the_broker_forgot_is_found_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_stack(data) as first:
        key = first.put("kept.jpg", _SAMPLE.read_bytes())
        answer = first.post(key)
        assert answer.status_code == 200
        left = 10_000 - answer.json()["tokensUsed"]
        assert eventually(lambda: first.balance() == left)
        family = first.family()
        assert len(family) > len(_SERVICES) + 2
        assert first.stop() == 0
        assert all(gone(process) for process in family)
    # What the list has not read is gone with the broker: it is listed from the documents.
    with sqlite3.connect(data / "ocr.db") as database:
        assert database.execute("DELETE FROM results").rowcount == 1
    with running_stack(data) as second:
        assert [each["status"] for each in second.results(key)] == ["completed"]
        assert second.facts["apiKey"] == first.facts["apiKey"]
        again = second.post(key)
        assert again.status_code == 200
        assert again.json() | {"fileUrl": ""} == answer.json() | {"fileUrl": ""}
        assert second.balance() == left
        second.put("late.jpg", _SAMPLE.read_bytes())
        family = second.family()
        second.process.kill()
        second.process.wait()
        assert eventually(lambda: all(gone(process) for process in family), 10)
    with running_stack(data) as third:
        assert third.balance_below(left)


def _answers(stack: RunningStack, key: str) -> bool:
    try:
        return stack.post(key).status_code == 200
    except httpx.TransportError:
        return False


def _put(stack: RunningStack, name: str) -> bool:
    try:
        stack.put(f"after-{name}.jpg", _SAMPLE.read_bytes() + name.encode())
    except (BotoCoreError, ClientError):  # the store is away just now
        return False
    return True
