"""Whatever is sent, the answer is one that OpenAPI documents, and never a fault of ours."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.api.cursors import encode_cursor
from tests.unit.api.fakes import API_KEY, KEY, RESULT_ID, FakeWorld, app, completed

WORLD = FakeWorld()
WORLD.answer_with(completed())
APPLICATION = app(WORLD)
PATHS: dict[str, Any] = APPLICATION.openapi()["paths"]

ANY_TEXT = st.text(max_size=50)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
KEYS = st.one_of(
    st.just(KEY),
    ANY_JSON,
    ANY_TEXT.map(lambda text: f"ocr/alice/{text}.jpg"),
    st.lists(st.sampled_from(["ocr", "alice", "..", "", "a.jpg", "%2e%2e", "\\"]), max_size=5).map("/".join),
)
BODIES = st.one_of(
    st.binary(max_size=200),
    ANY_JSON.map(lambda value: json.dumps(value).encode()),
    KEYS.map(lambda key: json.dumps({"key": key}).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            "filename": ANY_JSON | ANY_TEXT,
            "contentType": ANY_JSON | st.sampled_from(["image/png", "image/jpeg", "text/html"]),
            "size": ANY_JSON | st.integers(),
        },
    ).map(lambda value: json.dumps(value).encode()),
)
HEADER_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40).map(
    lambda text: text.strip().encode("latin-1")
)


def ask(method: str, path: str, headers: dict[bytes, bytes], content: bytes | None = None) -> httpx.Response:
    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(APPLICATION), base_url="http://api") as client:
            return await client.request(method, path, headers=headers, content=content)

    return asyncio.run(run())


def assert_documented(answer: httpx.Response, method: str, template: str) -> None:
    assert str(answer.status_code) in PATHS[template][method.lower()]["responses"], answer.text
    assert answer.status_code != 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error", "code", "requestId"}


MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(
    template=st.sampled_from(["/api/ocr/process", "/api/files/upload"]),
    body=BODIES,
    prefer=st.sampled_from([b"respond-async", b"wait=0", b"wait=1"]) | HEADER_VALUES,
    content_type=st.sampled_from([b"application/json", b"text/plain", b"application/x+json"]) | HEADER_VALUES,
    api_key=st.just(API_KEY.encode()) | HEADER_VALUES,
)
def test_any_body_and_header(template: str, body: bytes, prefer: bytes, content_type: bytes, api_key: bytes) -> None:
    headers = {b"x-api-key": api_key, b"content-type": content_type, b"prefer": prefer, b"traceparent": prefer}
    assert_documented(ask("POST", template, headers, body), "POST", template)


@MANY
@given(
    identity=st.just(RESULT_ID)
    | st.text(st.characters(exclude_characters="/?#", codec="utf-8"), min_size=1, max_size=50),
    request_id=HEADER_VALUES,
)
def test_any_result_id(identity: str, request_id: bytes) -> None:
    if identity in (".", ".."):
        return  # the client resolves them before it sends
    answer = ask(
        "GET",
        f"/api/ocr/results/{quote(identity, safe='')}",
        {b"x-api-key": API_KEY.encode(), b"x-request-id": request_id},
    )
    assert_documented(answer, "GET", "/api/ocr/results/{id}")


@MANY
@given(
    identity=st.just(RESULT_ID) | ANY_TEXT,
    format_=st.sampled_from(["json", "text", "pdf", "hocr", "alto", ""]) | ANY_TEXT,
)
def test_any_layout(identity: str, format_: str) -> None:
    if not identity or set(identity) & set("/?#") or identity in (".", ".."):
        return
    path = f"/api/ocr/results/{quote(identity, safe='', errors='replace')}/layout"
    answer = ask("GET", f"{path}?{urlencode({'format': format_}, errors='replace')}", {b"x-api-key": API_KEY.encode()})
    assert_documented(answer, "GET", "/api/ocr/results/{id}/layout")


CURSORS = st.one_of(
    ANY_TEXT,
    ANY_JSON.map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")),
    st.tuples(ANY_TEXT | st.datetimes().map(str), ANY_TEXT).map(lambda place: encode_cursor(*place)),
)


@MANY
@given(
    cursor=CURSORS,
    limit=st.integers().map(str) | ANY_TEXT,
    key=KEYS.map(str),
    status=st.sampled_from(["pending", "deleted"]) | ANY_TEXT,
)
def test_any_page_of_results(cursor: str, limit: str, key: str, status: str) -> None:
    query = urlencode({"cursor": cursor, "limit": limit, "key": key, "status": status}, errors="replace")
    answer = ask("GET", f"/api/ocr/results?{query}", {b"x-api-key": API_KEY.encode()})
    assert_documented(answer, "GET", "/api/ocr/results")


@MANY
@given(cursor=CURSORS | st.integers().map(encode_cursor), limit=st.integers().map(str) | ANY_TEXT)
def test_any_page_of_transactions(cursor: str, limit: str) -> None:
    query = urlencode({"cursor": cursor, "limit": limit}, errors="replace")
    answer = ask("GET", f"/api/tokens/transactions?{query}", {b"x-api-key": API_KEY.encode()})
    assert_documented(answer, "GET", "/api/tokens/transactions")
