"""Keys, ids and where documents lie: one content, one id, and no way out of a user's folder."""

import string
import uuid

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.base import KeyText, ResultId, UserId
from schemas.identity import (
    KEY_BYTES_MAX,
    InvalidKey,
    ObjectKey,
    document_key,
    document_prefix,
    is_user_id,
    parse_key,
    plain_etag,
    result_id,
)
from schemas.topics import upload_key


@pytest.mark.parametrize(
    ("key", "user_id", "filename"),
    [
        ("ocr/user_id/filename.jpg", "user_id", "filename.jpg"),
        ("ocr/u-1.a_b/x.y", "u-1.a_b", "x.y"),
        ("ocr/7/a b+c.png", "7", "a b+c.png"),
        ("ocr/u1/Quittung März (1).jpeg", "u1", "Quittung März (1).jpeg"),
        ("ocr/u1/テスト.webp", "u1", "テスト.webp"),
        ("ocr/u1/😀.png", "u1", "😀.png"),
        ("ocr/u1/archive.tar.gz", "u1", "archive.tar.gz"),
        ("ocr/u1/100%.png", "u1", "100%.png"),
        ("ocr/u1/a?b=c&d#e.png", "u1", "a?b=c&d#e.png"),
        ("ocr/u1/no-picture.exe", "u1", "no-picture.exe"),
    ],
)
def test_keys_of_the_form(key: str, user_id: str, filename: str) -> None:
    assert parse_key(key) == ObjectKey(user_id, filename)
    assert str(parse_key(key)) == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ocr",
        "ocr/",
        "ocr/u1",
        "ocr/u1/",
        "ocr//a.png",
        "/ocr/u1/a.png",
        "OCR/u1/a.png",
        "files/u1/a.png",
        "ocr/u1/b/a.png",
        "ocr/u1/a.png/",
        "ocr/u1/noextension",
        "ocr/u1/.hidden",
        "ocr/u1/ends-with-dot.",
        "ocr/../a.png",
        "ocr/./a.png",
        "ocr/u1/../a.png",
        "ocr/u1/..png",
        "ocr/u1/a..png",
        "ocr/u..1/a.png",
        "ocr/u1/a%2Fb.png",
        "ocr/u1/a%2fb.png",
        "ocr/u1/%2e%2e.png",
        "ocr/u1/a%5Cb.png",
        "ocr/u1/a%00.png",
        "ocr%2Fu1%2Fa.png",
        "ocr/u%2F1/a.png",
        "ocr/u1/a\\b.png",
        "ocr\\u1\\a.png",
        "ocr/u1/a\x00.png",
        "ocr/u1/a\n.png",
        "ocr/u1/a\x7f.png",
        "ocr/u1/a\x85.png",
        "ocr/u1/a\ud800.png",
        "ocr/u 1/a.png",
        "ocr/ü/a.png",
        "ocr/-u1/a.png",
        "ocr/u1\n/a.png",
        "ocr/" + "u" * 65 + "/a.png",
        "ocr/u1/" + "a" * 2048 + ".png",
        "ocr/u1/" + "ü" * 510 + ".png",
    ],
)
def test_keys_of_another_form(key: str) -> None:
    with pytest.raises(InvalidKey, match=r"^Invalid file key format$"):
        parse_key(key)


def test_the_longest_key() -> None:
    longest = "ocr/u1/" + "a" * (KEY_BYTES_MAX - len("ocr/u1/.png")) + ".png"
    assert str(parse_key(longest)) == longest
    with pytest.raises(InvalidKey):
        parse_key(longest.replace(".png", "a.png"))


_ANY_TEXT = st.text(alphabet=st.one_of(st.sampled_from("ocr/u1.%2F\\ +ü\x00\n"), st.characters()), max_size=60)


@given(st.one_of(_ANY_TEXT, _ANY_TEXT.map("ocr/u1/{}".format), _ANY_TEXT.map("ocr/{}/a.png".format)))
def test_a_key_is_refused_or_names_one_file_of_one_user(key: str) -> None:
    try:
        parsed = parse_key(key)
    except InvalidKey:
        return
    assert str(parsed) == key
    assert key.split("/") == ["ocr", parsed.user_id, parsed.filename]
    assert is_user_id(parsed.user_id)
    assert ".." not in key
    assert key.isprintable() or all(ord(letter) >= 0xA0 for letter in key if not letter.isprintable())


@given(st.one_of(_ANY_TEXT, _ANY_TEXT.map("ocr/u1/{}".format), _ANY_TEXT.map("ocr/{}/a.png".format)))
def test_the_wire_takes_every_valid_key_and_user(key: str) -> None:
    try:
        parsed = parse_key(key)
    except InvalidKey:
        return
    assert TypeAdapter(KeyText).validate_python(key) == key
    assert TypeAdapter(UserId).validate_python(parsed.user_id) == parsed.user_id


@given(st.text(alphabet=string.ascii_letters + string.digits + "._-/% \n", max_size=70))
def test_user_ids_are_the_same_to_the_wire_as_to_the_code(text: str) -> None:
    try:
        TypeAdapter(UserId).validate_python(text)
        valid = True
    except ValidationError:
        valid = False
    assert valid is is_user_id(text)


def test_an_id_is_fixed_for_ever() -> None:
    """Another value here charges every stored object again."""
    assert result_id("ocr-uploads", "ocr/acme/invoice-2031.png", "9b2cf535f27731c974343645a3985328") == (
        "00e3b07d-434a-5d0d-a036-36e71bb114d3"
    )


_PARTS = st.tuples(
    st.sampled_from(["uploads", "other"]), st.sampled_from(["ocr/u/a.b", "ocr/u/c.d"]), st.text("abc-0", max_size=6)
)


@given(_PARTS, _PARTS)
def test_another_bucket_key_or_content_has_another_id(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (result_id(*one) == result_id(*other)) is (one == other)


@pytest.mark.parametrize("etag", ['"e-1"', "e-1", 'W/"e-1"', ' "e-1" '])
def test_quotes_of_an_etag_make_no_other_id(etag: str) -> None:
    assert plain_etag(etag) == "e-1"
    assert result_id("b", "ocr/u/a.b", etag) == result_id("b", "ocr/u/a.b", "e-1")


def test_an_id_is_a_uuid_that_the_wire_takes() -> None:
    identity = result_id("b", "ocr/u/ü.b", "e")
    assert uuid.UUID(identity).version == 5
    assert TypeAdapter(ResultId).validate_python(identity) == identity


def test_documents_lie_in_their_users_folder() -> None:
    assert document_key("u1", "id") == "ocr/u1/id.json"
    assert document_key("u1", "id").startswith(document_prefix("u1"))
    assert not document_key("u12", "id").startswith(document_prefix("u1"))


@given(st.text(max_size=30), st.text(max_size=30), st.integers(1, 16))
def test_one_object_keeps_one_partition_and_one_user_fills_few(user_id: str, key: str, spread: int) -> None:
    assume("/" not in user_id)
    user, number = upload_key(user_id, key, spread).split("/")
    assert user == user_id
    assert 0 <= int(number) < spread
    assert upload_key(user_id, key, spread) == upload_key(user_id, key, spread)


def test_a_users_uploads_are_spread() -> None:
    keys = {upload_key("u1", f"ocr/u1/{number}.png") for number in range(100)}
    assert keys == {"u1/0", "u1/1", "u1/2", "u1/3"}
