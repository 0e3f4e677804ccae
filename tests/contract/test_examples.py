"""Every example holds in both directions: JSON Schema and model accept it, and it is written as it was read.

And it tells the truth: ids, keys and charges are what the code computes.
"""

import copy
import json
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.cloudevents import decode, encode
from schemas.document import Document
from schemas.events import EntryPosted, Origin, ResultCompleted, UsageRecorded
from schemas.generate import DOCUMENT_TYPE, MODELS
from schemas.identity import document_key, parse_key, result_id
from schemas.topics import TOPICS, upload_key
from services.ledger.hashing import GENESIS, event_hash
from tests.contract.examples import (
    DOCUMENT_EXAMPLES,
    EVENT_EXAMPLES,
    EXAMPLE_MESSAGES,
    Example,
    committed_schema,
    committed_validator,
    example_id,
)

every_example = pytest.mark.parametrize("example", EXAMPLE_MESSAGES, ids=example_id)
every_event = pytest.mark.parametrize("example", EVENT_EXAMPLES, ids=example_id)
every_document = pytest.mark.parametrize("example", DOCUMENT_EXAMPLES, ids=example_id)


_WRONG: tuple[Any, ...] = (None, True, 12.5, -1, 10**40, "12", "", [], {}, ["a"], "\u0000")


def test_every_type_has_examples() -> None:
    assert {example.type for example in EXAMPLE_MESSAGES} == set(MODELS)


@every_example
def test_example_is_valid_by_its_json_schema(example: Example) -> None:
    assert [error.message for error in committed_validator(example.type).iter_errors(example.value)] == []


@every_example
def test_example_is_written_as_it_was_read(example: Example) -> None:
    model = MODELS[example.type].model_validate_json(example.body, strict=True)
    assert json.loads(model.to_json()) == example.value


@every_event
def test_event_is_decoded_and_encoded_with_its_headers(example: Example) -> None:
    decoded = decode(example.headers, example.body)
    headers, body = encode(decoded.data, decoded.attributes)
    assert {name: value.decode() for name, value in headers if isinstance(value, bytes)} == example.headers
    assert json.loads(body) == example.value
    assert decoded.attributes.type == example.type


@every_example
def test_without_any_one_required_field_both_refuse_it(example: Example) -> None:
    schema, model = committed_validator(example.type), MODELS[example.type]
    for field in committed_schema(example.type)["required"]:
        value = {name: content for name, content in example.value.items() if name != field}
        assert not schema.is_valid(value), field
        with pytest.raises(ValidationError):
            model.model_validate_json(json.dumps(value), strict=True)


@every_example
def test_a_field_of_a_later_minor_version_is_ignored(example: Example) -> None:
    value = example.value | {"addedLater": {"by": "a later version"}}
    assert committed_validator(example.type).is_valid(value)
    assert (
        json.loads(MODELS[example.type].model_validate_json(json.dumps(value), strict=True).to_json()) == example.value
    )


@every_example
def test_what_the_model_accepts_with_a_wrong_type_the_schema_accepts_too(example: Example) -> None:
    schema, model = committed_validator(example.type), MODELS[example.type]
    for field in example.value:
        for wrong in _WRONG:
            if (field, wrong) == ("schemaVersion", True):  # to Python it is 1
                continue
            value = copy.deepcopy(example.value) | {field: wrong}
            try:
                model.model_validate_json(json.dumps(value), strict=True)
            except ValidationError:
                continue
            assert schema.is_valid(value), f"{field}: {wrong!r}"


@every_example
def test_identities_are_those_the_code_computes(example: Example) -> None:
    value = example.value
    if "key" in value:
        assert parse_key(value["key"]).user_id == value["userId"]
    if {"bucket", "key", "etag"} <= value.keys():
        assert value["resultId"] == result_id(value["bucket"], value["key"], value["etag"])
    if "documentKey" in value:
        assert value["documentKey"] == document_key(value["userId"], value["resultId"])
    if example.type == DOCUMENT_TYPE:
        assert example.content["key"] == document_key(value["userId"], value["resultId"])


@every_event
def test_event_is_keyed_as_its_topic_says(example: Example) -> None:
    (topic,) = [topic for topic in TOPICS if topic.name == example.content["topic"]]
    assert example.type.rpartition(".")[0] in [event.TYPE for event in topic.events]
    assert example.content["key"] == _key(topic.key, example.value)


def _key(rule: str, value: dict[str, Any]) -> str | None:
    if rule == "userId and a small hash of the object key":
        return upload_key(value["userId"], value["key"])
    if rule == "userId, or heartbeat/<partition>":
        return value.get("userId") or f"heartbeat/{value['partition']}"
    return None if rule == "none" else str(value[rule])


@every_event
def test_correlation_id_is_the_result_id(example: Example) -> None:
    assert example.headers.get("correlation-id") == example.value.get("resultId")


@every_event
def test_charges_are_those_of_the_price_in_the_event(example: Example) -> None:
    data = decode(example.headers, example.body).data
    if isinstance(data, UsageRecorded):
        charged = data.outcome == "completed"
        expected = data.price.tokens_per_page_unit * data.page_units + data.price.tokens_per_word * data.words
        assert data.tokens == (expected if charged else 0)
        assert (data.usage_id == data.result_id) is charged
    if isinstance(data, ResultCompleted) and data.text is not None:
        assert data.word_count == len(data.text.split())


def test_entries_of_an_account_are_chained_by_hashes_that_a_reader_can_verify() -> None:
    read = [EntryPosted.model_validate(example.value) for example in EVENT_EXAMPLES if "entryId" in example.value]
    entries = sorted(read, key=lambda entry: entry.sequence)
    assert [entry.sequence for entry in entries] == [1, 2]
    assert [entry.previous_hash for entry in entries] == [GENESIS, entries[0].entry_hash]
    for entry in entries:
        assert entry.entry_hash == event_hash(entry)
        assert sum(line.amount for line in entry.lines) == 0


def test_every_origin_of_a_request_has_an_example() -> None:
    origins = {example.value["origin"] for example in EVENT_EXAMPLES if example.type == "ocr.request.v1"}
    assert origins == set(Origin)


@every_document
def test_document_publishes_the_events_it_was_made_for(example: Example) -> None:
    document = Document.model_validate_json(example.body, strict=True)
    event = document.to_event(example.content["bucket"], example.content["key"])
    if document.status == "deleted":
        assert event is None
        return
    published = [other.value for other in EVENT_EXAMPLES if event and other.type == f"{event.TYPE}.v1"]
    assert event is not None
    assert json.loads(event.to_json()) in published


@every_document
def test_words_stand_inside_their_lines_and_lines_inside_their_blocks(example: Example) -> None:
    document = Document.model_validate_json(example.body, strict=True)
    for page in document.pages:
        for block in page.blocks:
            for line in block.lines:
                assert _inside(line.box, block.box)
                assert all(_inside(word.box, line.box) for word in line.words)


def _inside(inner: tuple[float, ...], outer: tuple[float, ...]) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]
