"""The ledger as a process: `python -m services.ledger`."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from services.local.ports import free_port
from services.runtime.settings import KafkaSettings
from tests.integration.ledger.running import Wire, balance, eventually
from tests.support.parts import ObjectStorePart
from tests.support.usage import usage

_MEMORY_BYTES_MAX = 120 * 1024 * 1024


@contextmanager
def _process(
    kafka: KafkaSettings, store: ObjectStorePart, results_bucket: str, database_url: str, health_port: int
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "OCR_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "OCR_KAFKA_TOPIC_PREFIX": kafka.topic_prefix,
        "OCR_DATABASE_URL": database_url,
        "OCR_HEALTH_PORT": str(health_port),
        "OCR_S3_ENDPOINT_URL": store.endpoint_url,
        "OCR_S3_ACCESS_KEY": store.access_key,
        "OCR_S3_SECRET_KEY": store.secret_key,
        "OCR_S3_RESULTS_BUCKET": results_bucket,
        "OCR_LEDGER_SWEEP_CYCLE_SECONDS": "0.5",
    }
    with subprocess.Popen([sys.executable, "-m", "services.ledger"], env=os.environ | environment) as process:
        try:
            yield process
        finally:
            process.kill()


def _status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_the_process_posts_stays_small_and_ends_on_sigterm(
    wire: Wire,
    kafka_settings: KafkaSettings,
    object_store: ObjectStorePart,
    bucket_prefix: str,
    postgres_engine: Engine,
) -> None:
    bucket = f"{bucket_prefix}results"
    object_store.s3().create_bucket(Bucket=bucket)
    wire.send([usage("r1", "alice", 200)])
    port = free_port()
    url = postgres_engine.url.render_as_string(hide_password=False)
    with _process(kafka_settings, object_store, bucket, url, port) as process:
        eventually(lambda: _status(port, "/readyz") == 200)
        eventually(lambda: balance(postgres_engine, "alice") == -200)
        assert _status(port, "/healthz") == 200
        assert _status(port, "/metrics") == 200
        time.sleep(2)  # some sweeps, so that the store's client is loaded
        assert _resident_bytes(process.pid) <= _MEMORY_BYTES_MAX
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
