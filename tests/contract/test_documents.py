"""What the documents say of codes, topics, settings and commands is so."""

import re
from pathlib import Path

import pytest

from schemas.cloudevents import event_type
from schemas.events import ErrorCode, ResultFailed, ResultRefused
from schemas.topics import TOPICS, Topic
from services.api.errors import ERRORS
from tests.support.documents import README, ROOT, documents
from tests.support.settings import OPERATIONS, setting_names, settings_tables, written_tables

ERRORS_PAGE = (ROOT / "docs/errors.md").read_text("utf-8")
EVENTS_PAGE = (ROOT / "docs/events.md").read_text("utf-8")
_DAY_MS = 24 * 60 * 60 * 1000

every_document = pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))


def test_every_error_code_has_its_line_and_its_section() -> None:
    lines = re.findall(r"^\| \[`(\w+)`\]\(#\1\) \| (\d+) \| ([\w -]+) \| ?(\w*) ?\|$", ERRORS_PAGE, flags=re.MULTILINE)
    described = {code: (int(status), again == "yes") for code, status, again, _event in lines}
    assert described == {code: (kind.status, kind.retriable) for code, kind in ERRORS.items()}
    assert re.findall(r"^## (\w+)$", ERRORS_PAGE, flags=re.MULTILINE) == [code for code, *_rest in lines]


def test_the_codes_that_come_as_events_are_marked() -> None:
    marked = re.findall(r"^\| \[`(\w+)`\].*\| (failed|refused) \|$", ERRORS_PAGE, flags=re.MULTILINE)
    assert {code for code, _event in marked} == {code.value for code in ErrorCode}
    assert {event for _code, event in marked} == {
        event.TYPE.rpartition(".")[2] for event in (ResultFailed, ResultRefused)
    }


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_has_its_line(topic: Topic) -> None:
    (line,) = re.findall(rf"^\| `{re.escape(topic.name)}` \|.*$", EVENTS_PAGE, flags=re.MULTILINE)
    _, _, types, key, kept, _ = (cell.strip() for cell in line.split("|"))
    assert re.findall(r"`([^`]+)`", types) == [event_type(event) for event in topic.events]
    assert key.replace("`", "") == topic.key
    assert kept == ("compacted" if topic.compacted else f"{topic.retention_ms // _DAY_MS} days")


def test_settings_are_those_the_processes_read() -> None:
    assert written_tables().strip() == settings_tables().strip(), "run python -m tests.support.settings"


@every_document
def test_every_setting_named_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    # What the README's own examples export for the reader's shell.
    own = {"OCR_URL", "OCR_API_KEY", "OCR_S3", "OCR_KAFKA"}
    named = set(re.findall(r"`(OCR_[A-Z0-9_]+)`", text)) - own
    assert named <= setting_names()
    assert document != OPERATIONS or named


@every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        found = document.parent / path if path else document
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text("utf-8"), flags=re.MULTILINE)
            # As the pages are shown, a heading's anchor has none of its punctuation.
            plain = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert anchor in plain, target


@every_document
def test_every_make_target_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text("utf-8"), flags=re.MULTILINE)) <= targets


@every_document
def test_every_command_named_exists(document: Path) -> None:
    from services.cli.__main__ import app

    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    known = {name.replace("_", "-") for name in commands} | {group.name for group in app.registered_groups}
    named = set(re.findall(r"(?:ocr-services|run --rm tools) ([a-z][a-z-]+)", document.read_text("utf-8")))
    assert named - {"is"} <= known


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (folder / "README.md").read_text("utf-8"))
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
    for number, name in enumerate(listed, start=1):
        text = (folder / name).read_text("utf-8")
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (\w+)", text, flags=re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) < 200


def test_the_architecture_names_every_program() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    programs = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")} - {"cli"}
    assert {"webhooks", "searchable_pdf"} <= programs
    assert {name for name in programs if f"`services.{name}`" not in text} == set()


def test_the_locked_requirements_are_all_listed() -> None:
    listed = set(re.findall(r"`([\w-]+\.txt)`", (ROOT / "requirements/README.md").read_text("utf-8")))
    assert listed == {path.name for path in (ROOT / "requirements").glob("*.txt")}
