"""The fixtures: parts that live as long as the session, and names and databases that live as long as a test.

A part starts when the first test asks for it. Where a Docker engine answers it is a container, else a process made
from packages, else an embedded stand-in, which the last lines of the run say (or, with OCR_REQUIRE_REAL_PARTS=1,
an error).
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import containers
from tests.support.coverage import COVERAGE, Coverage
from tests.support.downloads import Progress
from tests.support.kafka import start_apache_kafka, start_embedded_broker
from tests.support.object_store import start_embedded_object_store, start_versitygw
from tests.support.parts import DatabasePart, KafkaPart, ObjectStorePart
from tests.support.postgres import create_database, drop_database, start_postgres
from tests.support.starting import owned, start_first
from tests.support.topics import create_topics, delete_topics

_DIRECTORY_PREFIX = "ocr-tests-"

StartObjectStore = Callable[[str], ObjectStorePart]


@pytest.fixture(scope="session")
def coverage(pytestconfig: pytest.Config) -> Coverage:
    """What this run met so far."""
    return pytestconfig.stash[COVERAGE]


@pytest.fixture(scope="session")
def progress(pytestconfig: pytest.Config) -> Progress:
    """Says a line on the terminal at once, past pytest's capturing: for steps that take long."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    terminal = pytestconfig.pluginmanager.getplugin("terminalreporter")

    def say(line: str) -> None:
        if capture is None or terminal is None:
            return
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(line)
            terminal.flush()

    return say


@pytest.fixture(scope="session")
def parts_directory() -> Iterator[Path]:
    """Where the parts keep data and logs; open to the account that PostgreSQL runs as, gone after the run."""
    _remove_abandoned_directories()
    directory = Path(tempfile.mkdtemp(prefix=f"{_DIRECTORY_PREFIX}{os.getpid()}-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(parts_directory: Path, coverage: Coverage, progress: Progress) -> Iterator[KafkaPart]:
    """One broker for the session; tests keep apart by `topic_prefix`. A test that stops it starts it again."""
    directory = _directory(parts_directory, "kafka")
    started = start_first(
        "kafka",
        [containers.run_kafka_container, lambda: owned(start_apache_kafka(directory, progress))],
        coverage,
        stand_in=lambda: owned(start_embedded_broker(directory)),
    )
    assert started is not None
    yield started.part
    started.end()


@pytest.fixture(scope="session")
def object_store(parts_directory: Path, coverage: Coverage, progress: Progress) -> Iterator[ObjectStorePart]:
    """One S3 server for the session, silent; tests keep apart by `bucket_prefix`."""
    directory = _directory(parts_directory, "object-store")
    started = start_first(
        "object_store",
        [containers.run_versitygw_container, lambda: owned(start_versitygw(directory, progress))],
        coverage,
        stand_in=lambda: owned(start_embedded_object_store(directory)),
    )
    assert started is not None
    yield started.part
    started.end()


@pytest.fixture(autouse=True)
def _real_parts_where_needed(request: pytest.FixtureRequest) -> None:
    """Skips a test marked `needs_real` where a part that it names is a stand-in."""
    marker = request.node.get_closest_marker("needs_real")
    for name in marker.args if marker else ():
        part: KafkaPart | ObjectStorePart = request.getfixturevalue(name)
        if part.kind == "embedded":
            pytest.skip(f"{part.description} does not hold what this test asserts")


@pytest.fixture
def start_notifying_store(
    kafka: KafkaPart, parts_directory: Path, coverage: Coverage, progress: Progress
) -> Iterator[StartObjectStore]:
    """Starts an S3 server of the test's own that notifies the topic it is given, which it creates if need be.

    A gateway notifies one topic for all its buckets, hence one gateway a test. Without a real one the test is skipped.
    """
    ends: list[Callable[[], None]] = []

    def start(event_topic: str) -> ObjectStorePart:
        broker = kafka.bootstrap_servers
        create_topics(broker, {event_topic: 1})
        directory = _directory(parts_directory, "notifying-store")
        started = start_first(
            "object_store",
            [
                lambda: containers.run_versitygw_container(broker, event_topic),
                lambda: owned(start_versitygw(directory, progress, broker, event_topic)),
            ],
            coverage,
        )
        if started is None:
            pytest.skip("no S3 server that notifies Kafka")
        ends.append(started.end)
        return started.part

    yield start
    for end in reversed(ends):
        end()


@pytest.fixture
def notifying_store(start_notifying_store: StartObjectStore, topic_prefix: str) -> ObjectStorePart:
    """An S3 server of this test's own that notifies `<topic_prefix>object-store.events`."""
    return start_notifying_store(f"{topic_prefix}object-store.events")


@pytest.fixture(scope="session")
def sqs_store(parts_directory: Path) -> Iterator[ObjectStorePart]:
    """The embedded S3 with SQS beside it: what tests of queues use on every machine."""
    part = start_embedded_object_store(_directory(parts_directory, "sqs-store"))
    yield part
    part.kill()


@pytest.fixture(scope="session")
def postgres(parts_directory: Path, coverage: Coverage) -> Iterator[DatabasePart]:
    """One PostgreSQL server for the session. Without one the test is skipped; SQLite stands in by `database_url`."""
    started = start_first(
        "postgres",
        [
            containers.run_postgres_container,
            lambda: owned(start_postgres(_directory(parts_directory, "postgres"))),
        ],
        coverage,
    )
    if started is None:
        pytest.skip("no PostgreSQL")
    yield started.part
    started.end()


@pytest.fixture
def postgres_url(postgres: DatabasePart) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own, as a SQLAlchemy URL."""
    url = create_database(postgres.url)
    yield url
    drop_database(postgres.url, url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file of this test's own, which does not exist yet, as a SQLAlchemy URL."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of this test's own; the test runs on SQLite and on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """What this test puts before the names of its topics and groups, so that tests share a broker.

    Its topics are deleted afterwards: thousands of partitions would make the broker slow for those who follow.
    """
    prefix = f"t{secrets.token_hex(5)}."
    yield prefix
    if "kafka" in request.fixturenames:
        part: KafkaPart = request.getfixturevalue("kafka")
        delete_topics(part.bootstrap_servers, prefix)


@pytest.fixture
def bucket_prefix() -> str:
    """What this test puts before the names of its buckets, so that tests share a store."""
    return f"t{secrets.token_hex(5)}-"


def _remove_abandoned_directories() -> None:
    """Removes what runs left behind that were killed; their processes died with them."""
    for left in Path(tempfile.gettempdir()).glob(f"{_DIRECTORY_PREFIX}*-*"):
        owner = left.name.removeprefix(_DIRECTORY_PREFIX).split("-", 1)[0]
        if owner.isdigit() and not Path("/proc", owner).exists() and Path("/proc/self").exists():
            shutil.rmtree(left, ignore_errors=True)


def _directory(parent: Path, name: str) -> Path:
    directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    directory.chmod(0o755)
    return directory
