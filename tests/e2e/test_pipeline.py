"""From an upload, or a POST, to the text and its charge, through every service."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from schemas.events import EntryPosted, ResultCompleted, ResultFailed, UsageRecorded
from schemas.topics import ENTRIES
from tests.support.scripted_engine import SLOW, picture
from tests.support.stage import Topics, wait_for
from tests.support.system import REAL_EXTRACTOR, System

_SAMPLE = Path(__file__).parents[2] / "samples" / "receipt.jpg"
_GRANT = 1_000_000


def test_however_uploads_and_posts_race_there_is_one_result_and_one_charge(system: System) -> None:
    key = system.account("alice", _GRANT)
    system.ledger()
    apis = [system.api(), system.api()]
    system.intake()
    for _ in range(2):
        system.extractor()
    names = [f"ocr/alice/{n}.png" for n in range(24)]

    def upload_and_post(number: int) -> list[dict[str, object]]:
        name = names[number]
        system.stage.upload(name, picture(words=number + 1, seed=number))
        answers = [system.process(apis[(number + turn) % 2], key, name) for turn in range(2)]
        assert [answer.status for answer in answers] == [200, 200], answers
        return [answer.body for answer in answers]

    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(upload_and_post, range(len(names))))
    assert all(first == second for first, second in pairs)
    spent = sum(50 + number + 1 for number in range(len(names)))
    wait_for(lambda: system.balance(apis[0], key) == _GRANT - spent, "the balance")
    # Notifications come late: what they still ask for is answered by nothing new.
    wait_for(lambda: len(system.stage.read.events(UsageRecorded)) >= len(names), "usage")
    assert set(Counter(event.result_id for event in system.stage.read.events(ResultCompleted)).values()) == {1}
    assert set(Counter(event.usage_id for event in system.stage.read.events(UsageRecorded)).values()) == {1}
    wait_for(lambda: system.balance(apis[1], key) == _GRANT - spent, "the same balance at the other replica")


def test_an_upload_alone_is_processed_charged_and_published(system: System) -> None:
    key = system.account("alice", _GRANT)
    system.ledger()
    api = system.api()
    system.intake()
    system.extractor()
    for name in ("plain.png", "a b+c.png", "grün%20.png"):
        system.stage.upload(f"ocr/alice/{name}", picture(words=4, seed=len(name)))
    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) == 3, "three results")
    entries = Topics(system.stage.kafka, (ENTRIES,))
    entries.start()
    wait_for(lambda: len(entries.events(EntryPosted)) == 4, "the grant and three debits")
    entries.close()
    assert all(sum(line.amount for line in entry.lines) == 0 for entry in entries.events(EntryPosted))
    wait_for(lambda: system.balance(api, key) == _GRANT - 3 * 54, "the balance")
    for result in system.stage.read.events(ResultCompleted):
        answer = system.call(api, "GET", f"/api/ocr/results/{result.result_id}", key)
        assert answer.status == 200
        assert answer.body["status"] == "completed"
        assert answer.body["tokensUsed"] == 54


def test_real_models_read_a_real_picture(system: System) -> None:
    key = system.account("alice", _GRANT)
    system.ledger()
    api = system.api()
    system.extractor(REAL_EXTRACTOR)
    system.stage.upload("ocr/alice/receipt.jpg", _SAMPLE.read_bytes())
    answer = system.process(api, key, "ocr/alice/receipt.jpg")
    assert answer.status == 200, answer
    assert set(answer.body) == {
        "id", "text", "key", "fileUrl", "createdAt", "wordCount", "tokensUsed", "language",
    }  # fmt: skip
    assert "total" in answer.body["text"].lower()
    assert answer.body["wordCount"] == len(answer.body["text"].split())
    assert answer.body["tokensUsed"] == 50 + answer.body["wordCount"]


def test_what_no_notification_told_is_found_by_the_reconciler(system: System) -> None:
    system.account("alice", _GRANT)
    system.ledger()
    system.extractor()
    for number in range(3):
        system.stage.upload(f"ocr/alice/{number}.png", picture(seed=number))
    system.intake(OCR_INTAKE_KAFKA_ENABLED="false")
    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) == 3, "three results")


def test_an_upload_without_an_account_is_read_after_the_first_grant(system: System) -> None:
    system.account("alice", _GRANT)
    system.ledger()
    system.extractor()
    system.intake()
    system.stage.upload("ocr/bob/a.png", picture(words=7))
    key = system.account("bob", 1000)
    api = system.api()
    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) == 1, "the result", 60)
    wait_for(lambda: system.balance(api, key) == 1000 - 57, "the charge")


def test_a_deleted_result_stays_deleted_whatever_comes_again(system: System) -> None:
    key = system.account("alice", _GRANT)
    system.ledger()
    apis = [system.api() for _ in range(2)]
    system.intake()
    system.extractor()
    etag = system.stage.upload("ocr/alice/a.png", picture(words=4))
    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) == 1, "the result")
    identity = system.stage.read.events(ResultCompleted)[0].result_id
    assert system.call(apis[0], "DELETE", f"/api/ocr/results/{identity}", key).status == 204
    # Notified anew, asked for over both lanes, and swept by reconciler and ledger, which go round every second.
    assert system.stage.upload("ocr/alice/a.png", picture(words=4)) == etag, "the same content is the same result"
    system.stage.ask(system.stage.request("ocr/alice/a.png", etag))
    system.stage.ask(system.stage.request("ocr/alice/a.png", etag), upload=True)
    system.stage.upload("ocr/alice/marker.png", picture(words=2, seed=1))
    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) == 2, "another result, that came after all of it")
    wait_for(lambda: system.balance(apis[1], key) == _GRANT - 54 - 52, "one charge each")
    system.sweep_again(3)
    for api in apis:
        assert system.process(api, key, "ocr/alice/a.png").body["code"] == "result_deleted"
        assert system.call(api, "GET", f"/api/ocr/results/{identity}", key).body["status"] == "deleted"
        listed = system.call(api, "GET", "/api/ocr/results?key=ocr/alice/a.png", key).body["results"]
        assert [(each["id"], each["status"], each["tokensUsed"]) for each in listed] == [(identity, "deleted", 54)]
    assert [event.result_id for event in system.stage.read.events(ResultCompleted)].count(identity) == 1
    assert [event.usage_id for event in system.stage.read.events(UsageRecorded)].count(identity) == 1


def test_a_file_that_cannot_be_read_costs_nothing_and_says_why(system: System) -> None:
    key = system.account("alice", _GRANT)
    system.ledger()
    api = system.api()
    system.extractor()
    system.stage.upload("ocr/alice/a.png", b"just text, named .png")
    answers = [system.process(api, key, "ocr/alice/a.png") for _ in range(2)]
    assert [(answer.status, answer.body["code"]) for answer in answers] == [(415, "unsupported_media_type")] * 2
    wait_for(lambda: len(system.stage.read.events(UsageRecorded)) == 1, "usage")
    assert len(system.stage.read.events(ResultFailed)) == 1
    assert system.balance(api, key) == _GRANT


def test_services_that_are_away_for_a_while_lose_nothing(system: System) -> None:
    key = system.account("alice", _GRANT)
    ledger = system.ledger()
    api = system.api()
    extractor = system.extractor()
    names = [f"ocr/alice/{n}.png" for n in range(6)]
    for number, name in enumerate(names):
        system.stage.upload(name, picture(words=number + 1, script=SLOW, seed=number))
    accepted = [system.process(api, key, name, Prefer="respond-async") for name in names[:3]]
    assert [answer.status for answer in accepted] == [202] * 3
    extractor.process.kill()
    ledger.process.kill()
    accepted += [system.process(api, key, name, Prefer="respond-async") for name in names[3:]]
    assert [answer.status for answer in accepted] == [202] * 6
    system.ledger()
    system.extractor()
    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) == 6, "six results", 60)
    wait_for(lambda: system.balance(api, key) == _GRANT - (6 * 50 + 21), "the balance", 60)
