"""What a person does first: sign in, hand over a picture, see its words, take the text along."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from base64 import b64encode
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.console.conftest import SAMPLE, OpenPage, read_sample, screenshot
from tests.e2e.local.running import RunningStack, eventually

_FILES_AS_A_BROWSER_GIVES_THEM = """
([encoded, name, type, kind]) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}
"""


def hand_over(page: Page, kind: str, body: bytes, name: str = "image.png", media_type: str = "image/png") -> None:
    page.evaluate(_FILES_AS_A_BROWSER_GIVES_THEM, [b64encode(body).decode(), name, media_type, kind])


def test_the_address_that_up_prints_signs_in_and_leaves_no_key_behind(page: Page, stack: RunningStack) -> None:
    expect(page.locator("#balance")).to_have_text(re.compile(r"\d"))
    assert page.url == f"{stack.facts['url']}/#/"
    assert stack.facts["apiKey"] not in page.evaluate("document.documentElement.outerHTML")
    page.reload()
    expect(page.get_by_role("heading", name="Drop images or PDFs here")).to_be_visible()


def test_a_key_is_pasted_and_forgotten(open_page: OpenPage, stack: RunningStack) -> None:
    page = open_page(signed_in=False)
    screenshot(page, "sign-in")
    field = page.get_by_label("API key")
    expect(field).to_be_focused()
    field.fill("ocr_" + "x" * 43)
    field.press("Enter")
    expect(page.get_by_role("group", name="Error")).to_contain_text("This API key is unknown, revoked or expired")
    expect(page.locator(".error code").first).to_have_text("invalid_api_key")
    screenshot(page, "sign-in-error")
    field.fill(f" {stack.facts['apiKey']} ")
    page.get_by_label("Remember it in this browser").check()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Drop images or PDFs here")).to_be_visible()
    assert stack.facts["apiKey"] in page.evaluate("Object.values(localStorage)")
    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_label("API key")).to_be_focused()
    assert page.evaluate("[...Object.values(localStorage), ...Object.values(sessionStorage)]") == []


def test_a_chosen_picture_goes_from_pending_to_its_words_and_its_price(page: Page) -> None:
    stages: list[str] = []
    page.expose_function("noted", lambda stage: stages.append(stage))
    page.evaluate(
        "new MutationObserver(() => document.querySelectorAll('.job').forEach((job) => noted(job.dataset.stage)))"
        ".observe(document.body, {subtree: true, attributes: true, childList: true})"
    )
    before = balance(page)
    read_sample(page)
    assert [stage for stage in ("uploading", "reading") if stage in stages] == ["uploading", "reading"]
    expect(page.get_by_role("heading", name="receipt.jpg")).to_be_visible()
    price = int(re.sub(r"\D", "", page.locator(".facts b").inner_text()))
    assert price > 50
    assert eventually(lambda: balance(page) == before - price)
    screenshot(page, "result")


def balance(page: Page) -> int:
    expect(page.locator("#balance")).to_have_text(re.compile(r"\d"))
    return int(re.sub(r"\D", "", page.locator("#balance").inner_text()))


def test_words_stand_over_the_picture_where_the_layout_says(page: Page, stack: RunningStack) -> None:
    result_id = read_sample(page)
    layout = page.request.get(
        f"{stack.facts['url']}/api/ocr/results/{result_id}/layout", headers={"X-API-Key": stack.facts["apiKey"]}
    ).json()
    (shown,) = layout["pages"]
    words = [word for block in shown["blocks"] for line in block["lines"] for word in line["words"]]
    assert page.locator("polygon.word").count() == len(words) > 20
    sheet = page.locator(".sheet img").bounding_box()
    place = page.locator("polygon.word").nth(7).bounding_box()
    assert sheet is not None
    assert place is not None
    left, top, right, bottom = words[7]["box"]
    centre = (place["x"] + place["width"] / 2 - sheet["x"]) / sheet["width"]
    middle = (place["y"] + place["height"] / 2 - sheet["y"]) / sheet["height"]
    assert centre == pytest.approx((left + right) / 2, abs=0.01)
    assert middle == pytest.approx((top + bottom) / 2, abs=0.01)


def test_a_word_tells_its_confidence_on_hover_and_is_found_in_the_text(page: Page) -> None:
    read_sample(page)
    word = page.locator("polygon.word").nth(3)
    expect(page.locator(".card")).to_be_hidden()
    word.hover()
    expect(page.locator(".card")).to_be_visible()
    text, sure = page.locator(".card b").inner_text(), page.locator(".card .sure").inner_text()
    assert re.fullmatch(r"[\d.]+% sure", sure)
    expect(page.locator(".page-text .lit")).to_have_text(text)
    expect(word).to_have_attribute("aria-label", f"{text}, {sure}")
    page.locator(".page-text span").nth(9).hover()
    expect(page.locator("polygon.lit")).to_have_attribute("data-index", "9")


def test_words_are_walked_with_the_keyboard(page: Page) -> None:
    read_sample(page)
    page.get_by_role("radio", name="All words").focus()
    page.keyboard.press("Tab")
    expect(page.locator("polygon:focus")).to_have_attribute("data-index", "0")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(page.locator("polygon:focus")).to_have_attribute("data-index", "2")
    expect(page.locator(".card")).to_be_visible()
    page.keyboard.press("End")
    last = page.locator("polygon.word").count() - 1
    expect(page.locator("polygon:focus")).to_have_attribute("data-index", str(last))
    page.keyboard.press("ArrowRight")
    expect(page.locator("polygon:focus")).to_have_attribute("data-index", str(last))
    page.keyboard.press("Tab")
    expect(page.locator("polygon:focus")).to_have_count(0)


def test_the_text_is_copied(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    read_sample(page)
    page.get_by_role("button", name="Copy text").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "HARBOUR" in copied.upper()


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_is_pasted_or_dropped(page: Page, kind: str) -> None:
    hand_over(page, kind, SAMPLE.read_bytes(), media_type="image/jpeg", name="image.png")
    page.wait_for_url("**/#/results/*")
    heading = r"pasted-[\d-]+\.png" if kind == "paste" else r"image\.png"
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(heading))
    expect(page.locator("polygon.word").first).to_be_visible()


def test_several_files_are_listed_and_none_takes_the_view_away(page: Page) -> None:
    body = SAMPLE.read_bytes()
    files = [{"name": f"page {n}.jpg", "mimeType": "image/jpeg", "buffer": body + bytes([n])} for n in range(3)]
    page.set_input_files("#files", files)  # type: ignore[arg-type]
    expect(page.get_by_role("link", name="Open the result")).to_have_count(3)
    assert page.url.endswith("#/")
    screenshot(page, "several")


def test_what_is_no_picture_is_told_in_the_apis_words_and_not_charged(page: Page) -> None:
    before = balance(page)
    wrong = {"name": "notes.png", "mimeType": "image/png", "buffer": b"these are no pixels"}
    page.set_input_files("#files", wrong)  # type: ignore[arg-type]
    error = page.get_by_role("group", name="Error")
    expect(error).to_contain_text("whatever the name says")
    expect(error.locator("code").first).to_have_text("unsupported_media_type")
    expect(error.locator(".id")).to_have_text(re.compile(r"[0-9a-f-]{36}"))
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    screenshot(page, "error")
    assert balance(page) == before


def test_an_upload_that_breaks_off_can_be_tried_again(page: Page, stack: RunningStack) -> None:
    broken = [f"{stack.facts['s3Endpoint']}/**", "**/api/files"]
    for pattern in broken:
        page.route(pattern, lambda route: route.abort())
    page.set_input_files("#files", SAMPLE)
    expect(page.get_by_role("group", name="Error")).to_contain_text("broke off")
    for pattern in broken:
        page.unroute(pattern)
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/#/results/*")


def test_without_tokens_a_file_is_said_to_be_kept_and_is_not_uploaded_twice(page: Page) -> None:
    uploads: list[str] = []
    page.on(
        "request", lambda request: uploads.append(request.url) if request.url.endswith("/api/files/upload") else None
    )
    kept = "Insufficient tokens: your balance is 0. The uploaded file is kept and is read by itself after a top-up"
    told = {"error": kept, "code": "insufficient_tokens", "requestId": "1"}
    page.route("**/api/ocr/process", lambda route: route.fulfill(status=402, json=told))
    page.set_input_files("#files", SAMPLE)
    expect(page.get_by_role("group", name="Error")).to_contain_text("is kept and is read by itself")
    screenshot(page, "no-tokens")
    page.unroute("**/api/ocr/process")
    page.get_by_role("button", name="Ask again after a top-up").click()
    page.wait_for_url("**/#/results/*")
    assert len(uploads) == 1


def test_where_the_store_lets_no_browser_in_the_api_takes_the_file(page: Page, stack: RunningStack) -> None:
    page.route(f"{stack.facts['s3Endpoint']}/**", lambda route: route.abort())
    with page.expect_response("**/api/files") as stored:
        page.set_input_files("#files", SAMPLE)
    assert stored.value.status == 201
    page.wait_for_url("**/#/results/*")
    expect(page.get_by_role("heading", name="receipt.jpg")).to_be_visible()


def test_a_busy_service_is_asked_again_when_it_said(page: Page) -> None:
    answers = 0

    def busy_at_first(route: Route) -> None:
        nonlocal answers
        answers += 1
        if answers > 1:
            route.continue_()
            return
        body = {"error": "Too many requests are waiting", "code": "overloaded", "requestId": "r"}
        route.fulfill(status=503, headers={"Retry-After": "1"}, body=json.dumps(body))

    page.route("**/api/ocr/process", busy_at_first)
    page.set_input_files("#files", SAMPLE)
    expect(page.locator(".job .state")).to_have_text("Too many requests are waiting")
    page.wait_for_url("**/#/results/*")
    assert answers == 2


@pytest.mark.parametrize("name", ["Text", "JSON", "hOCR", "ALTO", "Searchable PDF"])
def test_every_format_is_downloaded(page: Page, name: str, tmp_path: Path) -> None:
    read_sample(page)
    with page.expect_download() as started:
        page.get_by_role("button", name=f"Download as {name}").click()
    saved = tmp_path / started.value.suggested_filename
    started.value.save_as(saved)
    body = saved.read_bytes()
    if name == "JSON":
        assert json.loads(body)["pages"]
    elif name in ("hOCR", "ALTO"):
        assert ElementTree.fromstring(body).tag
    elif name == "Searchable PDF":
        assert body.startswith(b"%PDF-")
    else:
        assert b"HARBOUR" in body.upper()
    assert saved.name.partition(".")[0] == "receipt"
