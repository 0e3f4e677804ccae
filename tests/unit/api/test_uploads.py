from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from schemas.identity import parse_key
from services.api.file_models import UploadRequest
from services.api.uploads import Uploads, put_signer, sanitised_filename
from services.runtime.object_store import create_client
from services.runtime.settings import ObjectStoreSettings


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("scan.jpg", "scan.jpg"),
        ("SCAN.JPEG", "SCAN.JPEG"),
        ("my scan (1).png", "my-scan-1.png"),
        ("../../etc/passwd", "passwd.jpg"),
        ("C:\\Users\\me\\scan.png", "scan.png"),
        ("a+b%20c&d?e#f.png", "a-b-20c-d-e-f.png"),
        ("Rechnung für März.pdf", "Rechnung-fur-Marz.pdf"),
        ("領収書.jpg", "file.jpg"),
        ("..", "file.jpg"),
        (".jpg", "file.jpg"),
        (".", "file.jpg"),
        ("noextension", "noextension.jpg"),
        ("a..b...c.png", "a.b.c.png"),
        ("x.tar.gz", "x.tar.gz"),
        ("trailing.", "trailing.jpg"),
        ("new\nline\x00.png", "new-line.png"),
        ("\ud800.png", "file.png"),
        ("scan.jpg\u202egnp.exe", "scan.jpggnp.exe"),
        ("x" * 500 + ".png", "x" * 97 + ".png"),
        ("a." + "y" * 500, "a." + "y" * 10),
        ("a/", "file.jpg"),
    ],
)
def test_a_filename_becomes_one_plain_segment_with_an_extension(given: str, made: str) -> None:
    assert sanitised_filename(given, "jpg") == made
    assert parse_key(f"ocr/alice/0011223344556677-{made}").filename.endswith(made)


def test_keys_are_never_the_same_twice() -> None:
    uploads = Uploads(lambda key, *_: key, bytes_max=100, presign_seconds=60)
    request = UploadRequest(filename="a.jpg", content_type="image/jpeg", size=1)
    assert len({uploads.ticket("alice", request).key for _ in range(100)}) == 100


def test_type_and_size_are_signed_with_v4() -> None:
    settings = ObjectStoreSettings(
        endpoint_url="http://127.0.0.1:1", access_key=SecretStr("access"), secret_key=SecretStr("secret")
    )
    url = put_signer(create_client(settings), "uploads", 900)("ocr/alice/a.jpg", "image/jpeg", 5)
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert query["X-Amz-Expires"] == ["900"]
    assert "secret" not in url
