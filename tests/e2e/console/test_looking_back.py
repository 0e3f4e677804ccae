"""What a person finds later: results, transactions, and for those who run it, how it is running."""

from __future__ import annotations

import itertools
import re

from playwright.sync_api import Page, expect

from tests.e2e.console.conftest import SAMPLE, OpenPage, read_sample, screenshot
from tests.e2e.local.running import RunningStack

_PRINTED_WORDS_OF_A_LINE = """
() => {
  const lines = Map.groupBy(document.querySelectorAll(".sheet text"), (text) => {
    const { b, d, e, f } = text.transform.baseVal.consolidate().matrix;
    return (f * d - e * b).toFixed(1);
  });
  return [...lines.values()][0].map((text) => {
    const { a, b, d, e, f } = text.transform.baseVal.consolidate().matrix;
    const { x, width } = text.getBBox();
    const along = e * a + f * b;
    return [(f * d - e * b).toFixed(1), along + x, along + x + width];
  });
}
"""


def test_history_lists_results_with_their_price_and_opens_them(page: Page) -> None:
    result_id = read_sample(page)
    page.get_by_role("link", name="History").click()
    row = page.locator(f'.row[data-id="{result_id}"]')
    expect(row.locator(".price")).to_have_text(re.compile(r"^[\d,]+ tokens$"))
    screenshot(page, "history")
    row.get_by_role("link").click()
    expect(page.locator("polygon.word").first).to_be_visible()


def test_what_was_uploaded_elsewhere_is_shown_from_its_public_address(page: Page, stack: RunningStack) -> None:
    key = stack.put("elsewhere.jpg", SAMPLE.read_bytes())
    page.evaluate("location.hash = '#/history'")
    link = page.get_by_role("link", name="elsewhere.jpg")
    for _ in range(40):
        if link.count():
            break
        page.wait_for_timeout(250)
        page.reload()
        page.wait_for_load_state("networkidle")
    link.first.click()
    picture = page.get_by_role("img", name="Page 1 as it was uploaded")
    expect(picture).to_be_visible()
    assert key in str(picture.get_attribute("src"))


def test_words_stand_on_paper_where_no_picture_can_be_had(page: Page, stack: RunningStack) -> None:
    result_id = read_sample(page)
    page.route(f"{stack.facts['s3Endpoint']}/**", lambda route: route.abort())
    page.evaluate("location.hash = '#/'")
    page.reload()
    page.evaluate("(id) => location.hash = `#/results/${id}`", result_id)
    expect(page.locator(".sheet.paper text").first).to_be_attached()
    assert page.locator(".sheet text").count() == page.locator("polygon.word").count()
    expect(page.get_by_text("Redrawn from the words and their places")).to_be_visible()
    boxes = page.evaluate(_PRINTED_WORDS_OF_A_LINE)
    assert len(boxes) == 3, "the first line of the sample has three words"
    for (_, _, end), (_, start, _) in itertools.pairwise(boxes):
        assert start > end, "a gap stands between two words"
    assert len({baseline for baseline, _, _ in boxes}) == 1
    screenshot(page, "paper")


def test_a_result_is_deleted_after_asking(page: Page) -> None:
    result_id = read_sample(page)
    page.get_by_role("link", name="History").click()
    row = page.locator(f'.row[data-id="{result_id}"]')
    row.get_by_role("button", name=re.compile("^Delete the result of receipt")).click()
    screenshot(page, "delete")
    page.get_by_role("button", name="Cancel").click()
    expect(row.locator(".chip")).to_have_text("Read")
    row.get_by_role("button", name=re.compile("^Delete the result of receipt")).click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(row.locator(".chip")).to_have_text("Deleted")
    deleted, read = row.locator(".what time"), row.locator(".when time")
    assert str(read.get_attribute("datetime")) < str(deleted.get_attribute("datetime"))
    row.get_by_role("link").click()
    expect(page.get_by_text("This result was deleted on")).to_be_visible()


def test_transactions_tell_what_was_spent_on_what(page: Page) -> None:
    read_sample(page)
    price = page.locator(".facts b").inner_text().removesuffix(" tokens")
    page.locator(".balance").click()
    first = page.locator(".row").first
    expect(first.locator(".price")).to_have_text(f"\N{MINUS SIGN}{price} tokens")
    expect(page.locator(".row").last.locator(".price")).to_have_text("+10,000 tokens")
    screenshot(page, "transactions")


def test_an_unknown_result_is_told_with_its_code(page: Page) -> None:
    page.evaluate("location.hash = '#/results/0b5f2c1e-7f0a-5a53-9c39-5d2f7a6f3c11'")
    expect(page.get_by_role("group", name="Error").locator("code").first).to_have_text("file_not_found")


def test_the_operator_sees_lag_by_partition_and_throughput(page: Page) -> None:
    read_sample(page)
    page.get_by_role("link", name="Operator").click()
    row = page.locator("tr", has_text="ocr.uploads")
    expect(row.locator(".partitions span")).to_have_count(4)
    expect(page.locator(".figure").first).to_have_text(re.compile(r"^[1-9]\d*read in the last hour"))
    expect(page.locator(".chart > span")).to_have_count(60)
    expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()
    screenshot(page, "operator")


def lacking(page: Page, scope: str, *patterns: str) -> None:
    told = {"error": f"This API key lacks the scope '{scope}'", "code": "forbidden", "requestId": "1"}
    for pattern in patterns:
        page.route(pattern, lambda route: route.fulfill(status=403, json=told))


def test_a_key_that_only_operates_is_shown_the_operators_view_alone(open_page: OpenPage, stack: RunningStack) -> None:
    page = open_page(signed_in=False)
    lacking(page, "read", "**/api/tokens/**", "**/api/ocr/**")
    page.get_by_label("API key").fill(stack.facts["apiKey"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="How it is running")).to_be_visible()
    expect(page.locator(".figure")).to_have_count(6)
    expect(page.locator(".tabs a:visible")).to_have_text(["Operator"])
    expect(page.locator(".balance")).to_be_hidden()
    expect(page.locator(".error")).to_have_count(0)
    screenshot(page, "only-operates")
    page.get_by_role("link", name="OCR Services, start").click()
    page.wait_for_url("**/#/operator")
    expect(page.locator(".error")).to_have_count(0)


def test_a_key_that_may_not_operate_is_not_led_there(open_page: OpenPage, stack: RunningStack) -> None:
    page = open_page(signed_in=False)
    lacking(page, "operate", "**/api/operator/**")
    with page.expect_response("**/api/operator/overview"):
        page.get_by_label("API key").fill(stack.facts["apiKey"])
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Drop images or PDFs here")).to_be_visible()
    expect(page.locator(".tabs a:visible")).to_have_text(["Read", "History"])


def test_a_user_without_results_is_told_so(open_page: OpenPage) -> None:
    page = open_page(signed_in=False)
    page.route(
        "**/api/tokens/balance", lambda route: route.fulfill(json={"balance": 0, "asOf": "2026-01-01T00:00:00Z"})
    )
    page.route("**/api/ocr/results?*", lambda route: route.fulfill(json={"results": [], "nextCursor": None}))
    page.get_by_label("API key").fill("ocr_any")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Nothing has been read yet.")).to_be_visible()
    screenshot(page, "empty")
