"""The console's files: what is served, how it is held to its origin, and how much it weighs."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from services.api.console_files import INDEX, content_security_policy, load_console_files
from tests.unit.api.fakes import FakeWorld, app
from tests.unit.api.test_app import call

FILES = load_console_files()
_FIRST_PAGE_BYTES_MAX = 150_000


def get(path: str, method: str = "GET", **headers: str) -> httpx.Response:
    return call(app(FakeWorld()), method, path, key=None, headers=headers)


class _Tags(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags() -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(FILES[INDEX].body.decode())
    return parser.found


def test_the_page_is_served_with_a_policy_that_allows_no_inline_code() -> None:
    answer = get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_the_policy_names_origins_only() -> None:
    policy = content_security_policy(
        upload_urls=["https://s3.example.com/b/k?X-Amz-Signature=1"],
        image_urls=["https://cdn.example.com/b/", "javascript:alert(1)", "https://cdn.example.com/c/"],
    )
    assert "connect-src 'self' https://s3.example.com;" in policy
    assert "img-src 'self' blob: https://cdn.example.com;" in policy


def test_the_page_has_no_inline_script_style_or_handler() -> None:
    for tag, attributes in tags():
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_everything_the_page_names_is_its_own_and_there() -> None:
    for tag, attributes in tags():
        for url in (attributes.get("src"), attributes.get("href") if tag == "link" else None):
            if url is not None:
                assert url.removeprefix("console/") in FILES, url


def test_every_module_that_is_imported_is_there() -> None:
    for name, file in FILES.items():
        for imported in re.findall(r"""(?:from|import\()\s*"\./([^"]+)\"""", file.body.decode()):
            assert imported in FILES, f"{name} imports {imported}"


def test_nothing_is_loaded_from_elsewhere() -> None:
    namespaces = {"http://www.w3.org/2000/svg"}
    for name, file in FILES.items():
        assert set(re.findall(r"https?://[^\"'\s)]+", file.body.decode())) <= namespaces, name


def test_the_whole_console_weighs_at_most_150_kb() -> None:
    assert sum(len(file.body) for file in FILES.values()) <= _FIRST_PAGE_BYTES_MAX


def test_a_file_that_has_not_changed_is_not_sent_again() -> None:
    first = get("/console/main.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = get("/console/main.js", **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert get("/console/main.js", **{"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize("name", ["nothing.js", "..%2fsettings.py", "%2e%2e%2f__main__.py", "", "main.js%00"])
def test_what_is_no_file_of_the_console_is_not_found(name: str) -> None:
    answer = get(f"/console/{name}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_head_answers_without_a_body() -> None:
    answer = get("/", "HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
