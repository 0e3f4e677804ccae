"""What a result costs: a pure function of what was read."""

from datetime import datetime

from schemas.events import Author, OcrRequest, Price, UsageRecorded


def tokens(price: Price, page_units: int, words: int) -> int:
    """Tokens of a completed result: so many a page unit and so many a word."""
    return price.tokens_per_page_unit * page_units + price.tokens_per_word * words


def usage_of_completed(
    request: OcrRequest, price: Price, *, page_units: int, words: int, at: datetime
) -> UsageRecorded:
    """The usage of a result that was read; its id is the result's, so that it is charged once for ever."""
    return UsageRecorded(
        usage_id=request.result_id,
        result_id=request.result_id,
        user_id=request.user_id,
        key=request.key,
        outcome="completed",
        page_units=page_units,
        words=words,
        tokens=tokens(price, page_units, words),
        price=price,
        occurred_at=at,
    )


def usage_of_failed(request: OcrRequest, price: Price, author: Author, at: datetime) -> UsageRecorded:
    """The usage of a failure: nothing. Its id is its author's, since a retry may complete the result later."""
    return UsageRecorded(
        usage_id=author.event_id,
        result_id=request.result_id,
        user_id=request.user_id,
        key=request.key,
        outcome="failed",
        page_units=0,
        words=0,
        tokens=0,
        price=price,
        occurred_at=at,
    )
