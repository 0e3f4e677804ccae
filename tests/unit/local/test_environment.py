"""What the local services are told: nothing of the caller's cloud, everything of the caller's own settings."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from services.local.broker import EmbeddedBroker
from services.local.environment import settings_from, shared_environment
from services.local.layout import Layout
from services.local.object_store import EmbeddedObjectStore
from services.runtime.settings import KafkaSettings, PriceSettings


class _Part:
    bootstrap_servers = "127.0.0.1:1"
    endpoint_url = "http://127.0.0.1:2"


def _environment(tmp_path: Path) -> dict[str, str]:
    part = _Part()
    return shared_environment(Layout(tmp_path), cast(EmbeddedBroker, part), cast(EmbeddedObjectStore, part))


def test_cloud_credentials_of_the_caller_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    monkeypatch.setenv("AWS_PROFILE", "production")
    assert not [name for name in _environment(tmp_path) if name.startswith("AWS_")]


def test_addresses_of_the_caller_do_not_win_but_other_settings_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCR_KAFKA_BOOTSTRAP_SERVERS", "kafka.example.com:9092")
    monkeypatch.setenv("OCR_KAFKA_PARTITIONS", "7")
    monkeypatch.setenv("OCR_PRICE_TOKENS_PER_WORD", "3")
    environment = _environment(tmp_path)
    kafka = settings_from(KafkaSettings, environment)
    assert (kafka.bootstrap_servers, kafka.partitions, kafka.embedded) == ("127.0.0.1:1", 7, True)
    assert settings_from(PriceSettings, environment).tokens_per_word == 3
