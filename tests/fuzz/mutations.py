"""Mutations of bytes: some blind, some that know what breaks JSON, UTF-8, numbers, paths and recursion."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

_NASTY = (
    b"null", b"true", b"-1", b"0", b"1e400", b"-1e-400", b"NaN", b"Infinity", b"9" * 400, b"18446744073709551616",
    b'""', b"{}", b"[]", b'{"a":' * 40, b"[" * 300, b"]" * 40, b'"\\ud800"', b'"\\u0000"', b"\xff\xfe", b"\xed\xa0\x80",
    b"\x00", b"\x1d", b"\x1e", b"=", b"..", b"/", b"//", b"../", b"%2e%2e%2f", b"%ff", b"+", b"\\", b'"', b"'", b"\r\n",
    b"2026-13-45T99:99:99Z", b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59", b"ocr.request.v1",
    b"ocr.usage.recorded.v99999", b"a" * 3000, "é".encode(), "\u202e".encode(), "\U0001f600".encode(),
    b"Records", b"Message", b"Key", b"EventName", b"resultId", b"tokens", b"usageId", b"takeoverOf",
)  # fmt: skip

Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def _flip(chance: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _replace(chance: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _delete(chance: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    begin = chance.randrange(len(data) + 1)
    del data[begin : begin + chance.randint(1, 24)]


def _repeat(chance: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    begin = chance.randrange(len(data) + 1)
    piece = data[begin : begin + chance.randint(1, 64)]
    data[begin:begin] = piece * chance.choice((1, 1, 2, 20))


def _insert(chance: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.choice(_NASTY)


def _put_in_place_of_a_value(chance: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    """Overwrites from a colon to the next comma or brace: a field of another type, or of another value."""
    begin = data.find(b":", chance.randrange(len(data) + 1))
    if begin >= 0:
        ends = [end for end in (data.find(mark, begin) for mark in (b",", b"}")) if end >= 0]
        data[begin + 1 : min(ends, default=len(data))] = chance.choice(_NASTY)


def _splice(chance: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    other = chance.choice(corpus)
    begin = chance.randrange(len(other) + 1)
    at = chance.randrange(len(data) + 1)
    data[at : at + chance.randint(0, 40)] = other[begin : begin + chance.randint(1, 80)]


def _cut(chance: random.Random, data: bytearray, _corpus: Sequence[bytes]) -> None:
    del data[chance.randrange(len(data) + 1) :]


_MUTATIONS: tuple[Mutation, ...] = (
    _flip, _replace, _delete, _repeat, _insert, _put_in_place_of_a_value, _put_in_place_of_a_value, _splice, _cut,
)  # fmt: skip
_BYTES_MAX = 20_000


def mutate(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of the corpus, changed in one place or in several."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        chance.choice(_MUTATIONS)(chance, data, corpus)
    return bytes(data[:_BYTES_MAX])
