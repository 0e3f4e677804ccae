"""What counts as a breaking change, one rule a case."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from schemas.compatibility import breaking_changes

Schema = dict[str, Any]
Change = Callable[[Schema], object]

OLD: Schema = {
    "$defs": {
        "Price": {"type": "object", "properties": {"version": {"type": "string"}}, "required": ["version"]},
        "Code": {"type": "string", "enum": ["gone", "broken"]},
        "Node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}},
    },
    "type": "object",
    "required": ["id", "pages", "price", "code"],
    "properties": {
        "id": {"type": "string", "maxLength": 64, "pattern": "^[a-z]+$"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "pages": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "box": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]},
        "price": {"$ref": "#/$defs/Price"},
        "code": {"$ref": "#/$defs/Code"},
        "version": {"type": "integer", "const": 1},
        "free": {"type": "string"},
        "first": {"$ref": "#/$defs/Node"},
    },
}


def _changes(change: Change) -> list[str]:
    new = copy.deepcopy(OLD)
    change(new)
    return [str(found) for found in breaking_changes({"a.v1": OLD}, {"a.v1": new})]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda new: new["properties"].pop("note"), "a.v1.note: field removed"),
        (lambda new: new["required"].append("note"), "a.v1.note: field became required"),
        (lambda new: new["required"].remove("id"), "a.v1.id: field became optional"),
        (lambda new: new["properties"]["id"].update(type="integer"), "a.v1.id: type changed from string to integer"),
        (
            lambda new: new["properties"].update(note={"type": "string"}),
            "a.v1.note: type changed from null or string to string",
        ),
        (
            lambda new: new["properties"].update(id={"anyOf": [{"type": "string"}, {"type": "null"}]}),
            "a.v1.id: type changed from string to null or string",
        ),
        (lambda new: new["$defs"]["Code"].update(enum=["gone"]), "a.v1.code: no longer allows 'broken'"),
        (lambda new: new["properties"]["free"].update(enum=["a"]), "a.v1.free: restricted to certain values"),
        (lambda new: new["properties"]["version"].update(const=2), "a.v1.version: no longer allows 1"),
        (lambda new: new["properties"]["id"].update(maxLength=8), "a.v1.id: maxLength lowered to 8"),
        (lambda new: new["properties"]["id"].update(minLength=8), "a.v1.id: minLength raised to 8"),
        (lambda new: new["properties"]["id"].update(pattern="^[0-9]+$"), "a.v1.id: pattern changed to '^[0-9]+$'"),
        (lambda new: new["properties"]["free"].update(format="uuid"), "a.v1.free: format changed to 'uuid'"),
        (
            lambda new: new["properties"]["pages"]["items"].update(minimum=1),
            "a.v1.pages[]: minimum raised to 1",
        ),
        (
            lambda new: new["properties"]["box"]["prefixItems"].append({"type": "number"}),
            "a.v1.box: length changed from 2 to 3",
        ),
        (
            lambda new: new["properties"]["box"]["prefixItems"][0].update(type="string"),
            "a.v1.box[0]: type changed from number to string",
        ),
        (
            lambda new: new["$defs"]["Price"]["properties"]["version"].update(type="integer"),
            "a.v1.price.version: type changed from string to integer",
        ),
        (
            lambda new: new["$defs"]["Price"]["required"].clear(),
            "a.v1.price.version: field became optional",
        ),
        (
            lambda new: new["$defs"]["Node"]["properties"].pop("next"),
            "a.v1.first.next: field removed",
        ),
    ],
)
def test_breaks(change: Change, found: str) -> None:
    assert _changes(change) == [found]


def test_a_new_required_field_breaks() -> None:
    def add(new: Schema) -> None:
        new["properties"]["added"] = {"type": "string"}
        new["required"].append("added")

    assert _changes(add) == ["a.v1.added: new required field"]


@pytest.mark.parametrize(
    "change",
    [
        lambda new: new["properties"].update(added={"type": "string"}),
        lambda new: new["$defs"]["Code"]["enum"].append("slow"),
        lambda new: new["properties"]["id"].update(maxLength=128),
        lambda new: new["properties"]["id"].pop("pattern"),
        lambda new: new["properties"]["id"].update(description="Says more."),
        lambda new: (
            new["properties"]["version"].update(const=None, enum=[1, 2]) or new["properties"]["version"].pop("const")
        ),
        lambda new: new["required"].reverse(),
        lambda new: new["properties"].update(price=new["$defs"]["Price"]),
    ],
)
def test_does_not_break(change: Change) -> None:
    assert _changes(change) == []


def test_a_schema_is_removed_only_for_its_next_major_version() -> None:
    assert [str(found) for found in breaking_changes({"a.v1": OLD}, {})] == [
        "a.v1: removed without a new major version"
    ]
    assert breaking_changes({"a.v1": OLD}, {"a.v2": {"type": "object"}}) == []
    assert breaking_changes({}, {"b.v1": OLD}) == []
