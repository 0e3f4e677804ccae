"""The list of results and layouts, through a running API."""

from __future__ import annotations

import io
import time

import httpx
import pypdfium2 as pdfium
from PIL import Image

from schemas.events import ErrorCode
from schemas.identity import result_id
from services.runtime.documents import DocumentStore
from tests.integration.api.fake_extractor import completing, failing
from tests.integration.api.stack import Replica, Stack, User
from tests.unit.api.fakes import document

_LISTED_SECONDS_MAX = 20.0


def listed(api: Replica, user: User, **parameters: str | int) -> list[dict[str, object]]:
    answer = api.client.get("/api/ocr/results", headers=user.headers, params=parameters)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, object]] = answer.json()["results"]
    return results


def until_listed(api: Replica, user: User, identity: str, status: str) -> dict[str, object]:
    """The row of a result, once the list has heard of it."""
    deadline = time.monotonic() + _LISTED_SECONDS_MAX
    while True:
        found = [row for row in listed(api, user) if (row["id"], row["status"]) == (identity, status)]
        if found:
            return found[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def layout(api: Replica, user: User, identity: str, **parameters: str) -> httpx.Response:
    return api.client.get(f"/api/ocr/results/{identity}/layout", headers=user.headers, params=parameters)


def test_what_was_asked_for_is_listed_newest_first_page_by_page(stack: Stack, api: Replica) -> None:
    user = stack.user()
    keys = [stack.upload(user, completing(f"text {number}")) for number in range(3)]
    made = [api.post(user, key).json()["id"] for key in keys]
    row = until_listed(api, user, made[2], "completed")
    assert (row["key"], row["wordCount"], row["tokensUsed"], row["language"]) == (keys[2], 2, 52, "en")
    first = api.client.get("/api/ocr/results", headers=user.headers, params={"limit": 2}).json()
    rest = listed(api, user, limit=2, cursor=first["nextCursor"])
    assert [each["id"] for each in [*first["results"], *rest]] == made[::-1]
    assert [each["id"] for each in listed(api, user, key=keys[1])] == [made[1]]
    assert listed(api, stack.user()) == []


def test_a_failure_is_listed_with_its_code(stack: Stack, api: Replica) -> None:
    user = stack.user()
    api.post(user, stack.upload(user, failing(ErrorCode.UNREADABLE_DOCUMENT, "because")))
    deadline = time.monotonic() + _LISTED_SECONDS_MAX
    while not (rows := listed(api, user, status="failed")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (rows[0]["code"], rows[0]["reason"]) == ("unreadable_document", "because")


def test_the_layout_is_that_of_the_document_and_nobody_elses(stack: Stack, api: Replica) -> None:
    user = stack.user()
    identity = api.post(user, stack.upload(user, completing("some text"))).json()["id"]
    page = layout(api, user, identity).json()["pages"][0]
    words = [word for block in page["blocks"] for line in block["lines"] for word in line["words"]]
    assert [word["text"] for word in words] == ["some", "text"]
    assert all(len(word["polygon"]) == 4 for word in words)
    assert layout(api, user, identity, format="text").text == "some text"
    assert layout(api, stack.user(), identity).status_code == 404


def test_a_searchable_pdf_has_the_picture_as_it_was_uploaded_and_the_words(stack: Stack, api: Replica) -> None:
    user = stack.user()
    written = io.BytesIO()
    Image.new("RGB", (1000, 2000), "white").save(written, "PNG")
    key = stack.upload(user, written.getvalue(), "scan.png")
    identity = result_id(stack.object_store.uploads_bucket, key, etag_of(stack, key))
    DocumentStore(stack.store, stack.object_store.results_bucket).create(
        document("two words").model_copy(
            update={"result_id": identity, "user_id": user.id, "bucket": stack.object_store.uploads_bucket, "key": key}
            | {"etag": etag_of(stack, key)}
        )
    )
    answer = layout(api, user, identity, format="pdf")
    assert answer.status_code == 200, answer.text
    (page,) = pdfium.PdfDocument(answer.content)
    assert page.get_textpage().get_text_range() == "two words"
    stack.upload(user, b"another content", "scan.png")
    gone = layout(api, user, identity, format="pdf")
    assert (gone.status_code, gone.json()["code"]) == (409, "object_changed")
    assert layout(api, user, identity, format="hocr").status_code == 200, "what needs no picture is still there"


def etag_of(stack: Stack, key: str) -> str:
    head = stack.store.head(stack.object_store.uploads_bucket, key)
    assert head is not None
    return head.etag
