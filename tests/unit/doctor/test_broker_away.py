"""A broker that is away gives one finding, with the reason, and nothing of librdkafka's own log."""

from pathlib import Path

import pytest

from services.doctor import broker
from services.doctor.findings import Level
from services.runtime.settings import KafkaSettings


def test_a_broker_that_is_away_is_told_once(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(broker, "TIMEOUT_SECONDS", 1.0)
    finding = broker.check_broker(KafkaSettings.model_validate({"bootstrap_servers": "127.0.0.1:1"}))
    assert finding.level is Level.FAIL
    assert "127.0.0.1:1 (PLAINTEXT) does not answer: " in finding.what
    assert "Connection refused" in finding.what
    assert capfd.readouterr() == ("", "")


def test_every_client_that_asks_is_made_where_its_log_is_silenced() -> None:
    services = Path(broker.__file__).parents[1]
    made = [path for path in services.rglob("*.py") if "AdminClient(" in path.read_text("utf-8")]
    # The local stack asks an address before there are settings.
    assert {str(path.relative_to(services)) for path in made} == {"runtime/kafka.py", "local/broker.py"}
