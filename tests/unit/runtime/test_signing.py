"""The signatures of the short way, held to botocore's own, signature by signature."""

from datetime import UTC, datetime

import pytest
from botocore import auth
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from services.runtime.signing import Keys, signed_headers

_AT = {
    "a day": (datetime(2026, 3, 9, 4, 5, 6, 789_000, UTC), "eu-central-1"),
    "the next": (datetime(2026, 3, 10, 4, 5, 6, tzinfo=UTC), "eu-central-1"),
    "elsewhere": (datetime(2026, 3, 9, 4, 5, 6, tzinfo=UTC), "us-east-1"),
}
"""Each has a key of its own, which is kept for the requests to come."""
_PLAIN_KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
_TEMPORARY_KEYS = Keys("ASIAEXAMPLE", "another secret", "a/session+token==")

_REQUESTS = {
    "head": ("HEAD", "http://127.0.0.1:7070", "/uploads/ocr/alice/1.png", {}, None),
    "pinned get": ("GET", "http://store:9000", "/uploads/ocr/alice/1.png", {"If-Match": '"abc"'}, None),
    "key that is encoded": ("GET", "https://s3.example.com", "/uploads/ocr/alice/a%20b%2B%C3%A9~.png", {}, None),
    "path that looks unnormalised": ("GET", "https://s3.example.com", "/uploads/ocr/alice//..a/./b.png", {}, None),
    "host in the name": ("GET", "https://uploads.s3.eu-central-1.amazonaws.com", "/ocr/alice/1.png", {}, None),
    "conditional put": (
        "PUT",
        "http://127.0.0.1:7070",
        "/results/ocr/alice/1.json",
        {"Content-Type": "application/json", "If-None-Match": "*"},
        b'{"text": "\xc3\xa9"}',
    ),
    "empty put": ("PUT", "http://127.0.0.1:7070", "/results/empty", {"Content-Type": "text/plain"}, b""),
    "spaces in a header": (
        "PUT",
        "http://127.0.0.1:7070",
        "/results/1",
        {"Content-Type": "  text/plain;   a=b "},
        b"1",
    ),
}


@pytest.mark.parametrize(("now", "region"), _AT.values(), ids=_AT)
@pytest.mark.parametrize("keys", [_PLAIN_KEYS, _TEMPORARY_KEYS], ids=["plain", "temporary"])
@pytest.mark.parametrize(("method", "origin", "path", "headers", "body"), _REQUESTS.values(), ids=_REQUESTS)
def test_signs_as_botocore_does(
    monkeypatch: pytest.MonkeyPatch,
    now: datetime,
    region: str,
    keys: Keys,
    method: str,
    origin: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None,
) -> None:
    monkeypatch.setattr(auth, "get_current_datetime", lambda: now)
    theirs = AWSRequest(method, origin + path, dict(headers), body)
    credentials = ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.session_token)
    S3SigV4Auth(credentials, "s3", region).add_auth(theirs)

    host = origin.partition("//")[2]
    ours = signed_headers(method, host, path, headers, body or b"", keys=keys, region=region, now=now)

    assert ours == dict(theirs.headers.items())
