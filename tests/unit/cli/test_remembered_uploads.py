"""What makes `ocr-services process` resumable."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.cli.remembered_uploads import RememberedUploads

URL = "http://api"


def test_a_key_is_found_by_content_in_another_run(tmp_path: Path) -> None:
    path = tmp_path / "state" / "uploads.jsonl"
    RememberedUploads(path, URL).remember(b"body", "ocr/alice/a.jpg")
    assert RememberedUploads(path, f"{URL}/").key_of(b"body") == "ocr/alice/a.jpg"
    assert RememberedUploads(path, URL).key_of(b"other") is None
    assert RememberedUploads(path, "http://elsewhere").key_of(b"body") is None


def test_the_latest_upload_of_a_content_counts(tmp_path: Path) -> None:
    remembered = RememberedUploads(tmp_path / "u", URL)
    for key in ("first", "second"):
        remembered.remember(b"body", key)
    assert remembered.key_of(b"body") == RememberedUploads(tmp_path / "u", URL).key_of(b"body") == "second"


def test_a_line_that_a_crash_cut_short_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "u"
    RememberedUploads(path, URL).remember(b"one", "first")
    with path.open("a") as file:
        file.write('{"url": "http://ap')
    RememberedUploads(path, URL).remember(b"two", "second")
    found = RememberedUploads(path, URL)
    assert (found.key_of(b"one"), found.key_of(b"two")) == ("first", "second")


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    RememberedUploads(tmp_path / "u", URL).remember(b"one", "first")
    assert (tmp_path / "u").stat().st_mode & 0o077 == 0


def test_runs_that_share_the_file_lose_nothing(tmp_path: Path) -> None:
    runs = [RememberedUploads(tmp_path / "u", URL) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: runs[n % 4].remember(b"%d" % n, f"key {n}"), range(80)))
    found = RememberedUploads(tmp_path / "u", URL)
    assert [found.key_of(b"%d" % n) for n in range(80)] == [f"key {n}" for n in range(80)]
