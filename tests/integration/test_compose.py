"""Every service of `docker-compose.yml` starts with exactly the command and environment that the file gives it."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from ocr_services_client import Client
from schemas.topics import TOPICS
from tests.support.compose import ROOT, load_compose
from tests.support.compose_stack import ComposeStack
from tests.support.coverage import Coverage, real_parts_required
from tests.support.downloads import PartUnavailableError, Progress

SERVICES = load_compose(
    {name: secrets.token_hex(16) for name in ("POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")}
)["services"]
# Twelve processes start one after the other, on a machine that may have two cores and other work.
pytestmark = pytest.mark.timeout(600)

WORKERS = ["intake", "extractor", "ledger", "webhooks", "api"]


@pytest.fixture(scope="module")
def stack(parts_directory: Path, coverage: Coverage, progress: Progress) -> Iterator[ComposeStack]:
    """The whole file, up and healthy."""
    directory = parts_directory / "compose"
    directory.mkdir(mode=0o755)
    stack = ComposeStack(SERVICES, directory, progress)
    try:
        stack.up()
        yield stack
    except PartUnavailableError as error:
        coverage.lacked("kafka", str(error))
        if real_parts_required():
            pytest.fail(f"OCR_REQUIRE_REAL_PARTS is set and a real part is missing: {error}", pytrace=False)
        pytest.skip(f"docker-compose.yml was not tried: {error}")
    finally:
        stack.down()


def test_what_prepares_the_others_ran_before_them(stack: ComposeStack) -> None:
    """`up` ran each one-shot service to its end and each other until its own health check said yes."""
    assert stack.exit_statuses() == dict.fromkeys(["kafka", "object-store", *WORKERS])
    assert "provisioned" in stack.run("topics"), "safe to repeat"
    assert "provisioned" in stack.run("buckets"), "safe to repeat"
    assert "revision" in stack.run("migrate"), "safe to repeat"


def test_every_topic_is_there_with_its_dead_letters(stack: ComposeStack) -> None:
    admin = AdminClient({"bootstrap.servers": stack.address("kafka", 9092)})
    wanted = {name for topic in TOPICS for name in (topic.name, topic.dead_letters)}
    assert wanted <= set(admin.list_topics(timeout=10).topics)


def test_a_downstream_consumer_on_this_machine_is_sent_to_the_published_port(stack: ComposeStack) -> None:
    metadata = AdminClient({"bootstrap.servers": stack.address("kafka", 9092)}).list_topics(timeout=10)
    assert [f"{broker.host}:{broker.port}" for broker in metadata.brokers.values()] == [stack.address("kafka", 9092)]


def test_an_upload_is_read_and_charged(stack: ComposeStack) -> None:
    """From a presigned upload through the gateway's notification to the debit, as the file wires it."""
    key = stack.run("tools", "keys", "create", "acme").strip()
    stack.run("tools", "tokens", "grant", "acme", "1000", "--key", "first")
    with Client(f"http://{stack.address('api', 8000)}", key) as api:
        uploaded = api.upload((ROOT / "samples/receipt.jpg").read_bytes(), "receipt.jpg")
        result = api.process(uploaded)
        assert result.key == uploaded
        assert result.tokens_used == 50 + result.word_count
        assert _eventually(lambda: api.balance().tokens == 1000 - result.tokens_used)
        assert api.process(uploaded) == result
        assert api.balance().tokens == 1000 - result.tokens_used


def test_every_service_ends_within_the_time_the_file_gives_it(stack: ComposeStack) -> None:
    for name in WORKERS:
        grace_seconds = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        # uvicorn drains, then ends by the signal it was sent; a service that took too long would have been killed.
        assert stack.stop(name, grace_seconds) in (0, -signal.SIGTERM), name


def _eventually(holds: Callable[[], bool], seconds_max: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds_max
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
