"""Model and JSON Schema agree on messages that nobody thought of: examples with one place changed at random."""

import copy
import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from schemas.generate import MODELS
from tests.contract.examples import EXAMPLE_MESSAGES, Example, committed_validator

_ACROSS_FIELDS = ("not under the user's folder", "a completed document has", "a failed document has")
"""What the models say of several fields together, which the JSON Schemas do not express."""

_VALIDATORS: dict[str, Draft202012Validator] = {name: committed_validator(name) for name in MODELS}

_TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["2026-11-20T10:30:00Z", "2026-11-20T10:30:00+14:00", "12", "ocr/acme/x.png", "completed", "-1"]),
)
_NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x % 1 != 0))
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=4,
)


@st.composite
def _changed(draw: st.DrawFn) -> tuple[Example, Any]:
    """An example and its body with one place replaced."""
    example = draw(st.sampled_from(EXAMPLE_MESSAGES))
    value = copy.deepcopy(example.value)
    parent: Any = value
    step = draw(st.sampled_from(sorted(parent)))
    while parent[step] and isinstance(parent[step], dict | list) and draw(st.booleans()):
        parent = parent[step]
        step = draw(st.sampled_from(sorted(parent) if isinstance(parent, dict) else range(len(parent))))
    parent[step] = draw(_VALUES)
    return example, value


@given(_changed())
@settings(max_examples=300, deadline=None)
def test_model_and_schema_give_the_same_verdict(changed: tuple[Example, Any]) -> None:
    example, value = changed
    assume(value.get("schemaVersion") is not True)  # to Python it is 1
    by_schema = _VALIDATORS[example.type].is_valid(value)
    refusal = _refusal(example, value)
    if refusal is None:
        assert by_schema, [error.message for error in _VALIDATORS[example.type].iter_errors(value)]
    else:
        assert not by_schema or any(phrase in refusal for phrase in _ACROSS_FIELDS), refusal


def _refusal(example: Example, value: Any) -> str | None:
    """Why the model refuses a body; None when it accepts it."""
    try:
        MODELS[example.type].model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return str(error)
    return None
