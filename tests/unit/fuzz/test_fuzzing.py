"""The short form of `make fuzz`, and that it would see a crash."""

import random

import pytest

from schemas.cloudevents import Undecodable
from tests.fuzz.__main__ import fuzz, run
from tests.fuzz.corpus import corpora
from tests.fuzz.mutations import mutate
from tests.fuzz.targets import TARGETS, Crash, Target, feed, pack, unpack


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_crash_no_decoder(name: str) -> None:
    target = TARGETS[name]
    tally = fuzz(target, corpora()[target.corpus], 2_000, "short")
    assert tally.crashes == []
    assert tally.inputs == 2_000
    assert tally.taken > 0, "nothing is ever taken: mutations begin with what is no input of this decoder"
    assert tally.refused > 0 or target.refusal is None


@pytest.mark.parametrize("name", ["documents", "events", "notifications"])
def test_what_mutation_begins_with_is_valid(name: str) -> None:
    target = TARGETS[name]
    assert all(feed(target, data) for data in corpora()[target.corpus])


def test_a_decoder_that_crashes_is_seen_with_its_input() -> None:
    def fragile(data: bytes) -> None:
        if b"\xff" in data:
            raise UnicodeDecodeError("utf-8", data, 0, 1, "not swallowed")
        raise Undecodable("as it should")

    tally = fuzz(Target(fragile, Undecodable, "keys"), corpora()["keys"], 5_000, "crash")
    assert tally.crashes
    assert all("UnicodeDecodeError" in crash and "xff" in crash for crash in tally.crashes)


def test_an_assertion_about_what_was_decoded_is_a_crash() -> None:
    def wrong(_data: bytes) -> None:
        raise AssertionError("decoded to something else")

    with pytest.raises(Crash, match="decoded to something else"):
        feed(Target(wrong, Undecodable, "keys"), b"")


def test_the_same_seed_gives_the_same_inputs() -> None:
    corpus = corpora()["events"]
    first, second = random.Random("s"), random.Random("s")
    assert [mutate(first, corpus) for _ in range(200)] == [mutate(second, corpus) for _ in range(200)]
    assert {name: tally.refused for name, tally in run(700, 5).items()} == {
        name: tally.refused for name, tally in run(700, 5).items()
    }


def test_records_are_packed_and_unpacked_and_any_bytes_are_one() -> None:
    assert unpack(pack({"a": "1", "b": ""}, b"body")) == ([("a", b"1"), ("b", b"")], b"body")
    assert unpack(b"") == ([], None)
    assert unpack(b"\xff") == ([("\ufffd", None)], None)
