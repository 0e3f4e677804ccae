"""`schemas/asyncapi.yaml` against the specification, and against the code: neither says what the other does not."""

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from schemas.cloudevents import event_type
from schemas.events import EVENTS
from schemas.generate import FOLDER
from schemas.topics import OBJECT_STORE_EVENTS, REQUESTS, RESULTS, TOPICS, Topic
from services.runtime.provisioning import topic_specs
from services.runtime.settings import KafkaSettings
from tests.contract.examples import EVENT_EXAMPLES, Example, example_id

Node = dict[str, Any]

ASYNCAPI: Node = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text("utf-8"))
SERVICES = {"api", "intake", "extractor", "ledger"}

every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def _follow(node: Node) -> Node:
    """The object that a reference names; every reference must lead somewhere."""
    while "$ref" in node:
        file, _, pointer = str(node["$ref"]).partition("#")
        target: Any = json.loads((FOLDER / file).read_text("utf-8")) if file else ASYNCAPI
        for step in pointer.split("/")[1:]:
            target = target[step]
        node = target
    return node


def _channel(topic: Topic) -> Node:
    (channel,) = [channel for channel in ASYNCAPI["channels"].values() if channel["address"] == topic.name]
    return dict(channel)


def _messages(topic: Topic) -> list[Node]:
    return [_follow(message) for message in _channel(topic)["messages"].values()]


def test_it_is_valid_asyncapi(asyncapi_schema: Node) -> None:
    errors = [f"{error.json_path}: {error.message}" for error in Draft7Validator(asyncapi_schema).iter_errors(ASYNCAPI)]
    assert errors == []


def test_the_check_against_the_specification_can_fail(asyncapi_schema: Node) -> None:
    assert not Draft7Validator(asyncapi_schema).is_valid(ASYNCAPI | {"channels": {"a": {"adress": "typing error"}}})


def test_every_reference_leads_somewhere() -> None:
    def walk(node: Any) -> int:
        if isinstance(node, dict):
            if "$ref" in node:
                assert _follow(node)
                return 1
            return sum(walk(value) for value in node.values())
        return sum(walk(value) for value in node) if isinstance(node, list) else 0

    assert walk(ASYNCAPI) > len(TOPICS)


def test_channels_are_the_topics_and_their_dead_letters() -> None:
    channels = dict(ASYNCAPI["channels"])
    dead_letters = channels.pop("deadLetters")
    assert [channel["address"] for channel in channels.values()] == [topic.name for topic in TOPICS]
    assert dead_letters["address"] == "{topic}.dlq"
    assert dead_letters["parameters"]["topic"]["enum"] == [topic.name for topic in TOPICS]
    assert all(topic.dead_letters == f"{topic.name}.dlq" for topic in TOPICS)


@every_topic
def test_channel_says_what_is_provisioned(topic: Topic) -> None:
    spec, dead_spec = topic_specs(KafkaSettings(), topic)
    kafka, dead = (node["bindings"]["kafka"] for node in (_channel(topic), ASYNCAPI["channels"]["deadLetters"]))
    assert kafka["partitions"] == spec.num_partitions
    assert _as_provisioned(kafka["topicConfiguration"]) == spec.config
    assert dead["partitions"] == dead_spec.num_partitions
    retention = {"retention.ms": str(topic.retention_ms)}
    assert _as_provisioned(dead["topicConfiguration"]) | retention == dead_spec.config


def _as_provisioned(configuration: Node) -> dict[str, str]:
    return {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in configuration.items()}


@every_topic
def test_channel_carries_the_topics_events_and_says_what_they_are_for(topic: Topic) -> None:
    assert _channel(topic)["description"] == topic.description
    expected = [event_type(event) for event in topic.events] or ["object-store.notification"]
    assert [message["name"] for message in _messages(topic)] == expected


@every_topic
def test_messages_are_keyed_as_the_topic_says(topic: Topic) -> None:
    keys = [message["bindings"]["kafka"]["key"]["description"] for message in _messages(topic)]
    assert ", or ".join(dict.fromkeys(keys)) == topic.key


def test_every_event_travels_on_some_topic_with_its_own_schema() -> None:
    carried = {event for topic in TOPICS for event in topic.events}
    assert carried == set(EVENTS)
    for topic in TOPICS:
        for event, message in zip(topic.events, _messages(topic), strict=False):
            assert message["payload"]["schema"] == {"$ref": f"./json/{event_type(event)}.schema.json"}
            assert message["headers"]["properties"]["ce_type"] == {"const": event_type(event)}


def test_no_message_is_defined_that_no_channel_carries() -> None:
    used = {
        ref["$ref"].rpartition("/")[2] for node in ASYNCAPI["channels"].values() for ref in node["messages"].values()
    }
    assert used == set(ASYNCAPI["components"]["messages"])


def test_who_sends_and_who_receives_is_as_in_the_code() -> None:
    described = set()
    for operation in ASYNCAPI["operations"].values():
        (tag,) = operation["tags"]
        described.add((tag["name"], operation["action"], _follow(operation["channel"])["address"]))
    expected = {(_tag(name), "send", topic.name) for topic in TOPICS for name in topic.producers}
    expected |= {(_tag(name), "receive", topic.name) for topic in TOPICS for name in topic.consumers}
    expected |= {(name, "send", "{topic}.dlq") for name in SERVICES}
    assert described == expected
    assert {name for name, _action, _address in described} == {tag["name"] for tag in ASYNCAPI["info"]["tags"]}


def _tag(process: str) -> str:
    return "object-store" if process in OBJECT_STORE_EVENTS.producers else process


def test_the_request_reply_pair() -> None:
    operation = ASYNCAPI["operations"]["requestAndReply"]
    reply = operation["reply"]
    assert (operation["action"], _follow(operation["channel"])["address"]) == ("send", REQUESTS.name)
    assert _follow(reply["channel"])["address"] == RESULTS.name
    assert [_follow(message)["name"] for message in reply["messages"]] == [
        event_type(event) for event in RESULTS.events
    ]
    correlation = ASYNCAPI["components"]["messageTraits"]["cloudEvent"]["correlationId"]
    assert correlation["location"] == "$message.header#/correlation-id"


@pytest.mark.parametrize("example", EVENT_EXAMPLES, ids=example_id)
def test_example_is_valid_by_the_channel_it_is_on(example: Example) -> None:
    (topic,) = [topic for topic in TOPICS if topic.name == example.content["topic"]]
    (message,) = [message for message in _messages(topic) if message["name"] == example.type]
    (trait,) = [_follow(trait) for trait in message["traits"]]
    for schema in (trait["headers"], message["headers"]):
        assert [error.message for error in Draft7Validator(schema).iter_errors(example.headers)] == []
    payload = _follow(message["payload"]["schema"])
    assert message["payload"]["schemaFormat"] == "application/schema+json;version=draft-07"
    assert [error.message for error in Draft7Validator(payload).iter_errors(example.value)] == []
    assert set(example.headers) <= set(trait["headers"]["properties"])
