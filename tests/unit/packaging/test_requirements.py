"""The locked requirements are those of pyproject.toml, hashed, and tell nobody where packages come from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[3]
_EXTRAS = {
    "local.txt": ["local"],
    "dev.txt": ["test", "lint", "heic", "bench"],
    "all.txt": ["test", "lint", "heic", "bench", "peers", "tensorflow"],
    "intake.txt": ["intake", "tracing"],
    "extractor.txt": ["extractor", "tracing"],
    "extractor-tensorflow.txt": ["extractor", "tensorflow", "tracing"],
    "ledger.txt": ["ledger", "tracing"],
    "webhooks.txt": ["webhooks", "tracing"],
    "api.txt": ["api", "tracing"],
    "tools.txt": ["tools", "tracing"],
    "audit.txt": ["audit"],
}


def _direct(extras: list[str]) -> list[Requirement]:
    """What pyproject.toml asks for with these extras, following the extras that name this project itself."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    open_extras = list(extras)
    while open_extras:
        for line in project["optional-dependencies"][open_extras.pop()]:
            requirement = Requirement(line)
            if requirement.name == project["name"]:
                open_extras.extend(requirement.extras)
            else:
                wanted.append(requirement)
    return wanted


def _locked(text: str) -> dict[str, set[str]]:
    """Canonical name → pinned versions (several where markers choose between them)."""
    pins: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, flags=re.MULTILINE):
        pins.setdefault(canonicalize_name(name), set()).add(version)
    return pins


def test_every_file_is_accounted_for() -> None:
    assert {path.name for path in (_ROOT / "requirements").glob("*.txt")} == set(_EXTRAS)


@pytest.mark.parametrize("name", _EXTRAS)
def test_the_pins_satisfy_what_the_project_asks_for(name: str) -> None:
    pins = _locked((_ROOT / "requirements" / name).read_text())
    for requirement in _direct(_EXTRAS[name]):
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not locked: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: {versions}"


@pytest.mark.parametrize("name", _EXTRAS)
def test_every_pin_has_a_hash_and_no_address(name: str) -> None:
    text = (_ROOT / "requirements" / name).read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", "\n" + text.split("make lock\n", 1)[1].strip())
    assert all("--hash=sha256:" in block for block in blocks if block.strip())
    assert "://" not in text
    assert "--find-links" not in text
    assert "--index-url" not in text


@pytest.mark.parametrize("name", ["intake.txt", "ledger.txt", "webhooks.txt", "api.txt", "tools.txt"])
def test_a_service_without_models_installs_no_recognition(name: str) -> None:
    pins = _locked((_ROOT / "requirements" / name).read_text())
    assert not {"onnxruntime", "opencv-python-headless", "tensorflow", "pypdfium2"} & set(pins)


def test_the_embedded_store_and_the_project_agree_on_botocore() -> None:
    pins = _locked((_ROOT / "requirements" / "local.txt").read_text())
    assert pins["boto3"] == pins["botocore"]
