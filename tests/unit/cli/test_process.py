"""`ocr-services process` over several runs, against a service that answers as it is told."""

from __future__ import annotations

import re
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from ocr_services_client import ApiError, Client, MaybeStored, Result
from services.cli.__main__ import app
from services.cli.process import Outcome, Reader, _print_all
from services.cli.remembered_uploads import RememberedUploads

URL = "http://api"
RESULT = {
    "id": "r1",
    "text": "two words",
    "key": "ocr/alice/a.jpg",
    "fileUrl": "https://files.example.com/a.jpg",
    "createdAt": "2026-06-15T10:30:00.000Z",
    "wordCount": 2,
    "tokensUsed": 52,
    "language": "en",
}


class Service:
    """The API and the store: keys are `ocr/alice/1`, `ocr/alice/2`, and so on."""

    def __init__(self) -> None:
        self.keys = 0
        self.stored: list[str] = []
        self.store_trouble: httpx.TransportError | None = None
        self.answer_lost = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        what = f"{request.method} {request.url.path}"
        if what == "POST /api/files/upload":
            key = self._new_key()
            ticket = {"key": key, "uploadUrl": f"https://store/{key}", "method": "PUT", "headers": {}}
            return httpx.Response(201, json=ticket)
        if what == "POST /api/ocr/process":
            if any(f'"{key}"'.encode() in request.content for key in self.stored):
                return httpx.Response(200, json=RESULT)
            return httpx.Response(404, json={"error": "File not found", "code": "file_not_found"})
        if request.method == "PUT":
            if self.store_trouble is not None:
                raise self.store_trouble
            self._store(request.url.path.removeprefix("/"))
            return httpx.Response(200)
        assert what == "POST /api/files"
        key = self._new_key()
        self._store(key)
        return httpx.Response(201, json={"key": key})

    def _new_key(self) -> str:
        self.keys += 1
        return f"ocr/alice/{self.keys}"

    def _store(self, key: str) -> None:
        if key not in self.stored:
            self.stored.append(key)
        if self.answer_lost:
            raise httpx.ReadTimeout("the answer was lost")


def run(service: Service, folder: Path, *, again: bool = False) -> Outcome:
    """One run over one file; what it remembers is in `folder`."""
    file = folder / "a.jpg"
    file.write_bytes(b"body")
    with Client(URL, "key", retries_max=1, transport=httpx.MockTransport(service)) as client:
        client._http.sleep = lambda _: None
        remembered = RememberedUploads(folder / "uploads.jsonl", URL)
        return Reader(client, remembered, timeout_seconds=1.0, again=again).read(str(file))


def test_after_a_put_without_an_answer_the_next_run_finds_the_file(tmp_path: Path) -> None:
    service = Service()
    service.answer_lost = True
    assert isinstance(run(service, tmp_path).error, MaybeStored)
    service.answer_lost = False
    assert run(service, tmp_path).result is not None
    assert service.stored == ["ocr/alice/1"]


def test_after_a_put_that_did_not_arrive_the_next_run_uploads(tmp_path: Path) -> None:
    service = Service()
    service.store_trouble = httpx.ReadTimeout("lost on the way")
    assert isinstance(run(service, tmp_path).error, MaybeStored)
    service.store_trouble = None
    assert run(service, tmp_path).result is not None
    assert service.stored == ["ocr/alice/2"]


def test_what_the_api_may_have_stored_is_uploaded_again_only_when_told(tmp_path: Path) -> None:
    service = Service()
    service.store_trouble, service.answer_lost = httpx.ConnectError("no route"), True
    assert isinstance(run(service, tmp_path).error, MaybeStored)
    service.answer_lost = False
    for _ in range(2):
        error = run(service, tmp_path).error
        assert isinstance(error, MaybeStored)
        assert "--again" in str(error)
    assert len(service.stored) == 1
    assert run(service, tmp_path, again=True).result is not None
    assert run(service, tmp_path).result is not None
    assert len(service.stored) == 2


def test_a_run_that_is_killed_while_the_api_is_sent_the_file_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(_service: Service, _key: str) -> None:
        raise Killed

    service = Service()
    service.store_trouble = httpx.ConnectError("no route")
    with monkeypatch.context() as patched:
        patched.setattr(Service, "_store", killed)
        with pytest.raises(Killed):
            run(service, tmp_path)
    assert isinstance(run(service, tmp_path).error, MaybeStored)


def test_a_file_that_the_api_refused_is_uploaded_by_the_next_run(tmp_path: Path) -> None:
    service = Service()
    service.store_trouble = httpx.ConnectError("no route")

    def refusing(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/files":
            return httpx.Response(429, json={"error": "Too many requests", "code": "rate_limited"})
        return service(request)

    with Client(URL, "key", retries_max=0, transport=httpx.MockTransport(refusing)) as client:
        (tmp_path / "a.jpg").write_bytes(b"body")
        remembered = RememberedUploads(tmp_path / "uploads.jsonl", URL)
        refused = Reader(client, remembered, timeout_seconds=1.0, again=False).read(str(tmp_path / "a.jpg"))
    assert isinstance(refused.error, ApiError)
    assert run(service, tmp_path).result is not None


def printed(*outcomes: Outcome, json_lines: bool = False) -> int:
    """Prints what became of files; the exit status."""
    done: list[Future[Outcome]] = [Future() for _ in outcomes]
    for future, outcome in zip(done, outcomes, strict=True):
        future.set_result(outcome)
    return _print_all(done, json_lines=json_lines)


def result(text: str) -> Result:
    return Result("r1", text, "ocr/alice/a.pdf", "https://files.example.com/a.pdf", datetime.now(UTC), 2, 52, "en")


def test_each_page_begins_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(Outcome("a.pdf", result("Minutes\fPage two"))) == 0
    assert capsys.readouterr().out == "Minutes\n\fPage two\n"
    printed(Outcome("a.pdf", result("Minutes\fPage two")), json_lines=True)
    assert "Minutes\\fPage two" in capsys.readouterr().out


def test_an_account_without_tokens_says_that_nothing_is_uploaded_again(capsys: pytest.CaptureFixture[str]) -> None:
    empty = ApiError("your balance is 0", code="insufficient_tokens", status=402)
    assert printed(Outcome("a.jpg", error=empty), Outcome("b.jpg"), Outcome("c.jpg", error=empty)) == 3
    assert capsys.readouterr().err.splitlines() == [
        "a.jpg: your balance is 0 (insufficient_tokens)",
        "c.jpg: your balance is 0 (insufficient_tokens)",
        "1 files were not begun",
        "run the same command again after a top-up: what is uploaded is neither uploaded nor charged again",
    ]
    assert printed(Outcome("a.jpg", error=ApiError("no", code="forbidden", status=403))) == 2
    assert "top-up" not in capsys.readouterr().err


def test_a_service_that_is_away_is_told_with_its_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] Connection refused")

    (tmp_path / "a.jpg").write_bytes(b"body")
    with Client("http://me:secret@api:8000/x", "key", retries_max=0, transport=httpx.MockTransport(away)) as client:
        remembered = RememberedUploads(tmp_path / "uploads.jsonl", URL)
        outcome = Reader(client, remembered, timeout_seconds=1.0, again=False).read(str(tmp_path / "a.jpg"))
    assert printed(outcome, outcome) == 1
    lines = capsys.readouterr().err.splitlines()
    told = "the service at http://api:8000 cannot be reached: [Errno 111] Connection refused"
    assert lines[0] == lines[1] == f"{tmp_path / 'a.jpg'}: {told}"
    assert lines[2:] == ["is the address right? set OCR_URL (`make up` prints it) or --url"]


@pytest.mark.parametrize("command", ["process", "recognise"])
def test_the_usage_names_files_as_the_document_does(command: str) -> None:
    usage = next(line for line in CliRunner().invoke(app, [command, "--help"]).output.splitlines() if "Usage:" in line)
    # Typer puts braces around what has to be given.
    assert re.sub("[{}]", "", usage).rstrip().endswith(f"{command} [OPTIONS] FILE...")


def test_of_several_files_each_has_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    printed(Outcome("a.jpg", result("one")), Outcome("b.jpg", result("two")))
    assert capsys.readouterr().out == "==> a.jpg <==\none\n==> b.jpg <==\ntwo\n"
