"""Files through the API, in memory: what is stored, what is refused, and that nothing is left of what breaks off."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from services.api.errors import ApiError
from services.api.file_models import StoredFile
from services.api.keys import Scope
from services.api.multipart import OVERHEAD_BYTES_MAX, FilePart
from services.api.storing import FileStorer
from services.api.waiters import InFlight, Overloaded
from services.runtime.errors import StoreUnavailable
from tests.unit.api.fakes import USER, FakeWorld, api_key, app
from tests.unit.api.test_app import assert_error, call

PATH = "/api/files"
JPEG = b"\xff\xd8\xff\xe0" + b"j" * 96
PDF = b"%PDF-1.7\n" + b"p" * 96
TYPE = "multipart/form-data; boundary=frontier"


def form(content: bytes, name: str = "file", filename: str = 'filename="scan.jpg"', more: bytes = b"") -> bytes:
    head = f'--frontier\r\nContent-Disposition: form-data; name="{name}"; {filename}\r\n\r\n'
    return more + head.encode() + content + b"\r\n--frontier--\r\n"


def post(world: FakeWorld, body: bytes, content_type: str = TYPE, **options: object) -> httpx.Response:
    application = app(world, **options)  # type: ignore[arg-type]
    return call(application, "POST", PATH, content=body, headers={"Content-Type": content_type})


def test_a_file_is_stored_under_a_key_of_the_users_own() -> None:
    world = FakeWorld()
    files = {"file": ("../My scan (1).JPG", JPEG, "text/html"), "note": (None, "ignored")}
    answer = call(app(world), "POST", PATH, files=files)
    assert answer.status_code == 201
    key = f"ocr/{USER}/r-My-scan-1.JPG"
    assert answer.json() == {"key": key, "contentType": "image/jpeg", "size": 100}
    assert world.stored == {key: (JPEG, "image/jpeg")}, "judged by its content, whatever was said of it"


@pytest.mark.parametrize(
    ("filename", "key"),
    [
        ('filename="été.pdf"', "r-ete.pdf"),
        ('filename="brief müller & co.pdf"', "r-brief-muller-co.pdf"),
        ('filename=""', "r-file.pdf"),
        ("x=y", "r-file.pdf"),
        ('filename="a/../../b"', "r-b.pdf"),
        ('filename="c:\\\\d.pdf"', "r-d.pdf"),
    ],
)
def test_whatever_it_is_called_the_key_is_plain(filename: str, key: str) -> None:
    world = FakeWorld()
    assert post(world, form(PDF, filename=filename)).json()["key"] == f"ocr/{USER}/{key}"


@pytest.mark.parametrize(
    ("body", "content_type", "code", "status"),
    [
        (form(JPEG), "application/json", "invalid_request", 400),
        (form(JPEG), "multipart/form-data", "invalid_request", 400),
        (form(JPEG), "multipart/form-data; boundary=" + "x" * 500, "invalid_request", 400),
        (form(JPEG), "multipart/form-data; boundary=other", "invalid_request", 400),
        (b"", TYPE, "invalid_request", 400),
        (b"not multipart", TYPE, "invalid_request", 400),
        (form(JPEG, name="image"), TYPE, "invalid_request", 400),
        (form(JPEG)[:-20], TYPE, "invalid_request", 400),
        (form(JPEG, more=form(JPEG)[:-4] + b"\r\n"), TYPE, "invalid_request", 400),
        (form(b""), TYPE, "unsupported_media_type", 415),
        (form(b"<html>" * 300), TYPE, "unsupported_media_type", 415),
        (form(b"BM short"), TYPE, "unsupported_media_type", 415),
        (form(JPEG + b"x" * 5_000), TYPE, "file_too_large", 413),
        (form(JPEG, filename="x=" + "y" * 10_000), TYPE, "invalid_request", 400),
    ],
)
def test_what_is_no_file_is_refused_and_not_stored(body: bytes, content_type: str, code: str, status: int) -> None:
    world = FakeWorld()
    assert_error(post(world, body, content_type), status, code)
    assert world.stored == {}


def test_a_key_that_may_only_read_stores_nothing() -> None:
    world = FakeWorld()
    assert_error(post(world, form(JPEG), key=api_key(Scope.READ)), 403, "forbidden")
    assert world.stored == {}


def test_a_store_that_is_down_is_told() -> None:
    assert_error(post(FakeWorld(broken=StoreUnavailable("away")), form(JPEG)), 503, "unavailable")


@given(cuts=st.lists(st.integers(1, 40), max_size=20), content=st.binary(max_size=200).map(lambda tail: JPEG + tail))
@settings(deadline=None)
def test_however_the_body_is_cut_the_file_is_the_same(cuts: list[int], content: bytes) -> None:
    part, body, got = FilePart(TYPE), form(content), b""
    for size in [*cuts, len(body)]:
        got += part.feed(body[:size]) if body else b""
        body = body[size:]
    assert (got, part.complete, part.filename) == (content, True, "scan.jpg")


@given(body=st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: form(JPEG)[:80] + tail))
@settings(deadline=None)
def test_no_body_raises_anything_but_what_is_answered(body: bytes) -> None:
    with contextlib.suppress(ApiError):
        FilePart(TYPE).feed(body)


def test_fields_beside_the_file_are_bounded() -> None:
    field = b'--frontier\r\nContent-Disposition: form-data; name="note"\r\n\r\n' + b"x" * OVERHEAD_BYTES_MAX + b"\r\n"
    assert "beside the file" in assert_error(post(FakeWorld(), form(JPEG, more=field)), 400, "invalid_request")


@pytest.mark.parametrize("size", [100, OVERHEAD_BYTES_MAX + 1])
def test_a_file_in_a_part_of_another_name_is_told_with_that_name(size: int) -> None:
    body = form(JPEG.ljust(size, b"j"), name="document")
    says = assert_error(post(FakeWorld(), body), 400, "invalid_request")
    assert says == "The body has no part named 'file'; it has one named 'document'"


@pytest.mark.parametrize(
    ("name", "shown"), [("a\x07b\x1bc", "a?b?c"), ("d\u202eoc", "d?oc"), ("n" * 61, "n" * 60 + "...")]
)
def test_the_name_of_a_part_is_shown_without_what_a_terminal_obeys_and_cut(name: str, shown: str) -> None:
    says = assert_error(post(FakeWorld(), form(JPEG, name=name)), 400, "invalid_request")
    assert says.endswith(f"it has one named '{shown}'")


def test_a_body_without_any_part_names_none() -> None:
    says = assert_error(post(FakeWorld(), b"--frontier--\r\n"), 400, "invalid_request")
    assert says == "The body has no part named 'file'"


class Store:
    """A storer of its own, and what it stored."""

    def __init__(self, bytes_max: int = 4 << 20, per_user: int = 1, idle_seconds_max: float = 0.2) -> None:
        self.stored: list[int] = []
        self.storer = FileStorer(
            self.put,
            ThreadPoolExecutor(1),
            InFlight(2, per_user),
            bytes_max=bytes_max,
            idle_seconds_max=idle_seconds_max,
            bytes_per_second_min=1000,
        )

    def put(self, key: str, file: IO[bytes], media_type: str) -> None:  # noqa: ARG002
        self.stored.append(len(file.read()))

    async def store(self, body: AsyncIterator[bytes], length: int | None = None) -> StoredFile:
        return await self.storer.store(USER, body, TYPE, length)


async def pieces(*parts: bytes | Exception | float) -> AsyncIterator[bytes]:
    for part in parts:
        if isinstance(part, bytes):
            yield part
        elif isinstance(part, Exception):
            raise part
        else:
            await asyncio.sleep(part)


@pytest.mark.parametrize("ending", [ClientDisconnect(), 5.0], ids=["hangs up", "stops sending"])
def test_an_upload_that_breaks_off_leaves_nothing_and_frees_its_place(
    ending: Exception | float, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = Store()
    large = JPEG + b"x" * (2 << 20)

    async def run() -> None:
        for _ in range(3):
            with pytest.raises(ApiError) as caught:
                await store.store(pieces(form(large)[:-10_000], ending))
            assert caught.value.code == "invalid_request"
        assert (await store.store(pieces(form(large)))).size == len(large)

    asyncio.run(run())
    assert store.stored == [len(large)]
    assert not any(tmp_path.iterdir())  # type: ignore[attr-defined]


def test_an_upload_that_drips_is_given_up() -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield form(JPEG)[:150]
        while True:
            await asyncio.sleep(0.05)
            yield b"x"

    with pytest.raises(ApiError) as caught:
        asyncio.run(asyncio.wait_for(Store().store(drip()), 5.0))
    assert caught.value.code == "invalid_request"


def test_a_slow_upload_may_take_longer_than_it_may_stop() -> None:
    content = JPEG + b"x" * 6000
    slow = [piece for part in range(0, len(form(content)), 300) for piece in (form(content)[part : part + 300], 0.03)]
    assert asyncio.run(Store(idle_seconds_max=0.5).store(pieces(*slow))).size == len(content)


def test_what_says_that_it_is_too_large_is_refused_before_it_arrives() -> None:
    store = Store(bytes_max=1000)

    async def never() -> AsyncIterator[bytes]:
        pytest.fail("read")
        yield b""

    with pytest.raises(ApiError) as caught:
        asyncio.run(store.store(never(), 1000 + OVERHEAD_BYTES_MAX + 1))
    assert caught.value.code == "file_too_large"


def test_what_is_no_document_is_refused_before_the_rest_arrives() -> None:
    read = []

    async def endless() -> AsyncIterator[bytes]:
        yield form(b"x" * 2000)[:-20]
        while True:
            read.append(1)
            yield b"x" * 2000

    with pytest.raises(ApiError) as caught:
        asyncio.run(Store().store(endless()))
    assert caught.value.code == "unsupported_media_type"
    assert len(read) <= 1


def test_one_user_takes_no_more_places_than_allowed() -> None:
    store = Store()

    async def run() -> None:
        waiting = asyncio.create_task(store.store(pieces(form(JPEG)[:50], 0.1, form(JPEG)[50:])))
        await asyncio.sleep(0.02)
        with pytest.raises(Overloaded):
            await store.store(pieces(form(JPEG)))
        await waiting

    asyncio.run(run())
    assert store.stored == [len(JPEG)]
