"""`docker-compose.yml` against the Compose specification, and against what it promises: nobody is root, nothing is
open to the network, no secret stands in a file, and every setting exists."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from services.extractor.settings import ExtractorSettings
from tests.support.compose import (
    COMPOSE_FILE,
    ROOT,
    MissingVariableError,
    load_compose,
    required_variables,
    start_order,
)
from tests.support.containers import KAFKA_IMAGE, POSTGRES_IMAGE, VERSITYGW_IMAGE
from tests.support.settings import setting_names

SECRETS = {"POSTGRES_PASSWORD": "p", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s"}
SERVICES: dict[str, dict[str, Any]] = load_compose(SECRETS)["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
WORKERS = {"intake", "extractor", "ledger", "webhooks", "api"}
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text("utf-8")

every_service = pytest.mark.parametrize("name", SERVICES)


def test_it_is_valid_by_the_compose_specification(compose_schema: dict[str, Any]) -> None:
    raw = yaml.safe_load(COMPOSE_FILE.read_text("utf-8"))
    for content in (raw, load_compose(SECRETS)):
        errors = [
            f"{error.json_path}: {error.message}" for error in Draft202012Validator(compose_schema).iter_errors(content)
        ]
        assert errors == []


def test_the_check_against_the_specification_can_fail(compose_schema: dict[str, Any]) -> None:
    assert not Draft202012Validator(compose_schema).is_valid({"services": {"api": {"comand": "typing error"}}})


@pytest.mark.parametrize("name", SECRETS)
def test_without_a_secret_nothing_starts(name: str) -> None:
    assert required_variables() == set(SECRETS)
    with pytest.raises(MissingVariableError, match=name):
        load_compose(SECRETS | {name: ""})


def test_the_example_environment_names_every_variable_and_holds_no_secret() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    named = dict(re.findall(r"^#?([A-Z0-9_]+)=(.*)$", example, flags=re.MULTILINE))
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", COMPOSE_FILE.read_text("utf-8")))
    assert set(named) == used
    assert {name for name, value in named.items() if not value} == set(SECRETS)


@every_service
def test_nobody_is_root_and_nobody_can_become_it(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # Apache's image brings an account of its own; everywhere else the file names one.
    assert name == "kafka" or not service["user"].startswith(("0", "root"))
    assert name == "kafka" or service["read_only"] is True


@pytest.mark.parametrize("name", ["api", "extractor"])
def test_no_init_keeps_credentials_beside_a_child_that_decodes_files(name: str) -> None:
    assert SERVICES[name]["init"] is False


@every_service
def test_memory_is_limited(name: str) -> None:
    assert re.fullmatch(r"[0-9]+[mg]", SERVICES[name]["deploy"]["resources"]["limits"]["memory"])


@every_service
def test_ports_are_open_to_this_machine_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@every_service
def test_no_secret_has_a_value_of_its_own(name: str) -> None:
    raw = yaml.safe_load(COMPOSE_FILE.read_text("utf-8"))["services"][name].get("environment", {})
    for variable, value in raw.items():
        if re.search(r"PASSWORD|SECRET|ACCESS_KEY|TOKEN|DATABASE_URL", variable):
            assert "${" in str(value), variable


@every_service
def test_what_is_waited_for_can_come_to_pass(name: str) -> None:
    for dependency, how in SERVICES[name].get("depends_on", {}).items():
        healthy = "healthcheck" in SERVICES[dependency]
        assert how["condition"] == ("service_healthy" if healthy else "service_completed_successfully")


def test_every_worker_waits_until_all_is_prepared() -> None:
    order = start_order(SERVICES)
    assert set(order) == set(SERVICES) - {"tools"}
    assert order.index("topics") < order.index("object-store"), "the gateway needs the topic of its notifications"
    for name in WORKERS:
        assert set(SERVICES[name]["depends_on"]) == {"topics", "buckets", "migrate"}
        assert "healthcheck" in SERVICES[name]


@pytest.mark.parametrize("name", sorted(OURS))
def test_build_target_exists_and_runs_as_the_same_account(name: str) -> None:
    target = SERVICES[name]["build"]["target"]
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    (stage,) = [stage for stage in stages if re.match(rf"\S+ AS {target}\n", stage)]
    assert f"USER {SERVICES[name]['user']}" in stage


@pytest.mark.parametrize("name", sorted(WORKERS))
def test_command_is_the_one_the_image_has(name: str) -> None:
    words = ", ".join(f'"{word}"' for word in SERVICES[name]["command"])
    assert f"CMD [{words}]" in DOCKERFILE


def test_the_other_extractor_that_operations_names_exists_and_gets_its_memory() -> None:
    operations = (ROOT / "docs/operations.md").read_text("utf-8")
    chosen = dict(re.findall(r"`(EXTRACTOR_(?:TARGET|MEMORY))=([\w-]+)`", operations))
    extractor = load_compose(SECRETS | chosen)["services"]["extractor"]
    assert extractor["build"]["target"] == "extractor-tensorflow"
    assert "extractor-tensorflow" in re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    child_mb_max = ExtractorSettings(engine="tensorflow").child_memory_mb_max
    assert int(extractor["deploy"]["resources"]["limits"]["memory"].removesuffix("g")) * 1000 > child_mb_max
    assert int(SERVICES["extractor"]["deploy"]["resources"]["limits"]["memory"].removesuffix("g")) == 3


def test_images_of_others_are_those_the_tests_ran_against() -> None:
    assert SERVICES["kafka"]["image"].endswith(f"/{KAFKA_IMAGE}")
    assert SERVICES["database"]["image"].endswith(f"/{POSTGRES_IMAGE}")
    assert f"OBJECT_STORE_IMAGE=docker.io/{VERSITYGW_IMAGE}\n" in DOCKERFILE


def test_every_setting_exists() -> None:
    given = {variable for name in OURS for variable in SERVICES[name].get("environment", {})}
    ours = {variable for variable in given if variable.startswith("OCR_")}
    assert ours
    assert ours <= setting_names()


def test_every_copied_file_reaches_the_build() -> None:
    """`.dockerignore` keeps everything out that it does not name."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    for source in _copied():
        assert (ROOT / source).exists() or source.startswith("services/"), source
        assert any(source.startswith(pattern.split("*")[0]) for pattern in allowed), source


def _copied() -> Iterator[str]:
    yield from re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, flags=re.MULTILINE)


def test_the_file_with_the_secrets_is_neither_committed_nor_sent_to_a_build() -> None:
    assert "/.env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    assert not [line for line in ignored if line.startswith("!") and "env" in line]
