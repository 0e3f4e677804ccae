"""What a result costs."""

from services.extractor.drafting import completed, file_url
from services.extractor.metering import tokens, usage_of_failed
from tests.unit.extractor.samples import NOW, PRICE, author, page, request


def test_a_page_of_150_words_costs_200_tokens_as_in_the_contract() -> None:
    assert tokens(PRICE, page_units=1, words=150) == 200


def test_a_failure_costs_nothing_and_has_its_authors_event_as_id() -> None:
    usage = usage_of_failed(request(), PRICE, author(event_id="event-7"), NOW)
    assert (usage.tokens, usage.usage_id, usage.outcome) == (0, "event-7", "failed")


def test_a_document_is_charged_for_the_units_of_all_its_pages_under_its_result_id() -> None:
    document = completed(
        request(),
        author(),
        PRICE,
        pages=[page(1, page_units=1), page(2, page_units=3)],
        text="hello\fhello",
        language="en",
        words=2,
        media_type="image/tiff",
        engine="onnx",
        model_version="1",
        url="u",
        at=NOW,
    )
    assert document.usage.tokens == 4 * 50 + 2
    assert document.usage.usage_id == document.result_id
    assert document.usage.price == PRICE


def test_a_file_url_quotes_what_a_url_cannot_hold() -> None:
    assert file_url("https://s3.example/b/", "ocr/al/ä b+c?.png") == "https://s3.example/b/ocr/al/%C3%A4%20b%2Bc%3F.png"
