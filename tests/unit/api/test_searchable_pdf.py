"""A searchable PDF through the API: the child process, its bounds, and what is answered."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import httpx
import pypdfium2 as pdfium
import pytest
from PIL import Image

from schemas.document import Document
from services.api.searchable_pdf import PdfLimits
from services.runtime.errors import StoreUnavailable
from services.runtime.object_store import ObjectChanged, ObjectTooLarge
from tests.unit.api.fakes import KEY, RESULT_ID, USER, FakeWorld, app, document, page
from tests.unit.api.test_app import assert_error, call

PATH = f"/api/ocr/results/{RESULT_ID}/layout"


def picture(width: int = 1000, height: int = 2000) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(written, "PNG")
    return written.getvalue()


def world(content: bytes | Exception | None = None, made: Document | None = None) -> FakeWorld:
    return FakeWorld(
        documents={(USER, RESULT_ID): made or document("two words")}, contents={KEY: content} if content else {}
    )


def get(world: FakeWorld, limits: PdfLimits | None = None) -> httpx.Response:
    return call(app(world, pdf_limits=limits), "GET", PATH, params={"format": "pdf"})


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the child works; empty after every answer."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_words_are_in_it(spool: Path) -> None:
    answer = get(world(picture()))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == f'inline; filename="{RESULT_ID}.pdf"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    (sheet,) = pdfium.PdfDocument(answer.content)
    assert sheet.get_textpage().get_text_range() == "two words"
    assert not any(spool.iterdir())


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (None, 404, "file_not_found"),
        (ObjectChanged(KEY), 409, "object_changed"),
        (ObjectTooLarge("9 bytes"), 413, "file_too_large"),
        (StoreUnavailable("away"), 503, "unavailable"),
        (b"no picture", 415, "unsupported_media_type"),
        (picture()[:300], 422, "unreadable_document"),
    ],
)
def test_what_cannot_be_made_says_why(spool: Path, content: bytes | Exception | None, status: int, code: str) -> None:
    assert_error(get(world(content)), status, code)
    assert not any(spool.iterdir())


def test_another_file_than_was_read_is_refused() -> None:
    two = document().model_copy(update={"pages": (page("a"), page("b"))})
    assert_error(get(world(picture(), two)), 422, "unreadable_document")


def test_too_much_memory_ends_the_child_and_not_the_api() -> None:
    limits = PdfLimits(memory_bytes_max=300_000_000, seconds_max=30.0)
    assert_error(get(world(picture(9_000, 9_000)), limits), 422, "unreadable_document")


def test_too_much_time_ends_the_child(spool: Path) -> None:
    assert_error(get(world(picture()), PdfLimits(1_500_000_000, seconds_max=0.01)), 422, "unreadable_document")
    assert not any(spool.iterdir())


def test_the_child_gets_no_credentials(monkeypatch: pytest.MonkeyPatch, spool: Path) -> None:
    folder = spool / "modules" / "services" / "searchable_pdf"
    folder.mkdir(parents=True)
    seen = spool / "environment"
    # A package without its file would give way to the real one where this project is installed.
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "__main__.py").write_text(f"import os; open({str(seen)!r}, 'w').write('\\n'.join(os.environ))")
    monkeypatch.setattr("services.api.searchable_pdf._ROOT", spool / "modules")
    monkeypatch.setenv("OCR_S3_SECRET_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", str(spool / "modules"))
    with pytest.raises(FileNotFoundError):
        get_raising(world(picture()))
    assert not {name for name in seen.read_text().split("\n") if name.startswith(("OCR_", "AWS_"))}
    assert "PATH" in os.environ


def get_raising(made: FakeWorld) -> None:
    """The child wrote nothing: the fault that follows is not what is looked at."""
    import asyncio

    application = app(made)
    asyncio.run(application.state.parts.pdfs.make(document("two words")))
