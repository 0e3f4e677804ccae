"""The committed JSON Schemas: what the models say, and nothing that breaks a reader of the last release."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from schemas.compatibility import breaking_changes
from schemas.generate import BASELINE, GENERATED, MODELS, differences, generate_schema, write
from tests.contract.examples import committed_schema

_SUFFIX = ".schema.json"


def _load(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.name.removesuffix(_SUFFIX): json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}


def test_committed_schemas_are_what_the_models_say() -> None:
    assert differences(GENERATED) == [], "run python -m schemas.generate"


def test_a_stale_a_missing_and_a_foreign_file_are_noticed(tmp_path: Path) -> None:
    write(tmp_path)
    assert differences(tmp_path) == []
    stale, missing = f"ocr.request.v1{_SUFFIX}", f"ocr.usage.recorded.v1{_SUFFIX}"
    (tmp_path / stale).write_text("{}")
    (tmp_path / missing).unlink()
    (tmp_path / "foreign.json").write_text("{}")
    assert differences(tmp_path) == sorted([stale, missing, "foreign.json"])
    write(tmp_path)
    assert differences(tmp_path) == []


def test_nothing_breaks_a_reader_of_the_last_release() -> None:
    assert [str(change) for change in breaking_changes(_load(BASELINE), _load(GENERATED))] == []


@pytest.mark.parametrize("name", MODELS)
def test_schema_is_valid_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(committed_schema(name))


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith(("ocr.re", "ocr.u", "ocr.s", "ledger."))])
def test_event_schema_uses_only_what_draft_7_has_too(name: str) -> None:
    """AsyncAPI's tools have to support draft 7 alone, and `asyncapi.yaml` promises them just that."""
    schema = committed_schema(name)
    Draft7Validator.check_schema(schema)
    newer = {"prefixItems", "$dynamicRef", "$anchor", "unevaluatedProperties", "dependentRequired", "minContains"}
    assert not newer & _keywords(schema)


def test_every_field_travels_in_camel_case() -> None:
    for name in MODELS:
        schema = generate_schema(name)
        for part in [schema, *schema.get("$defs", {}).values()]:
            assert not [field for field in part.get("properties", {}) if "_" in field], name


def _keywords(node: Any) -> set[str]:
    if isinstance(node, dict):
        return set(node).union(*(_keywords(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_keywords(value) for value in node))
    return set()
