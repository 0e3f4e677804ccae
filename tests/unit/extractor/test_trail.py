"""The spans of one record, from its arrival to its end."""

from __future__ import annotations

from dataclasses import replace

from services.extractor.trail import DOWNLOAD, PUBLISH, RECOGNISE, STORE, Trail
from tests.support.spans import id_of, parent_of, spans_in_memory, trace_of
from tests.unit.extractor.samples import attributes

_SENDER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_ASKED = replace(attributes(), traceparent=_SENDER, correlation_id="r1")


def test_stages_follow_each_other_below_the_stay_which_is_below_the_sender() -> None:
    with spans_in_memory() as memory:
        trail = Trail("ocr.uploads", _ASKED)
        for stage in (DOWNLOAD, RECOGNISE, STORE, PUBLISH):
            trail.enter(stage)
        sent_with = trail.asked().traceparent
        trail.end("completed")
        trail.end("abandoned")
    assert memory.names() == [DOWNLOAD, RECOGNISE, STORE, PUBLISH, "process ocr.uploads"]
    stay = memory["process ocr.uploads"]
    assert parent_of(stay) == "b7ad6b7169203331"
    assert {parent_of(memory[stage]) for stage in (DOWNLOAD, RECOGNISE, STORE, PUBLISH)} == {id_of(stay)}
    assert sent_with == f"00-{trace_of(stay)}-{id_of(memory[PUBLISH])}-01"
    assert stay.attributes is not None
    assert (stay.attributes["ocr.outcome"], stay.attributes["ocr.result_id"]) == ("completed", "r1")
    assert stay.attributes["messaging.destination.name"] == "ocr.uploads"


def test_where_nothing_is_traced_the_senders_context_goes_on() -> None:
    trail = Trail("ocr.uploads", _ASKED)
    trail.enter(PUBLISH)
    assert trail.asked() == _ASKED
    trail.end("completed")
