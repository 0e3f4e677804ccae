"""Version 4 of AWS's signatures, for plain requests to S3: a method, a path, some headers, no query.

The algorithm is public and does not change; a test holds it to botocore's, signature by signature. That one takes five
times as long, for requests whose parts it has to find out first.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Keys:
    """Credentials as they are at one moment; with a session token where they are temporary."""

    access_key: str
    secret_key: str
    session_token: str | None = None


def signed_headers(
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    keys: Keys,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """`headers` with what signs them, the body and the rest of the request.

    host: with the port, unless it is the protocol's own; path: percent-encoded, as it is sent; now: in UTC.
    """
    time = now.strftime("%Y%m%dT%H%M%SZ")
    day = time[:8]
    body_hash = hashlib.sha256(body).hexdigest()
    sent = {**headers, "X-Amz-Date": time, "X-Amz-Content-SHA256": body_hash}
    if keys.session_token:
        sent["X-Amz-Security-Token"] = keys.session_token
    named = sorted((name.lower(), " ".join(value.split())) for name, value in [*sent.items(), ("host", host)])
    names = ";".join(name for name, _ in named)
    lines = "".join(f"{name}:{value}\n" for name, value in named)
    request = f"{method}\n{path}\n\n{lines}\n{names}\n{body_hash}"
    scope = f"{day}/{region}/s3/aws4_request"
    to_sign = f"{_ALGORITHM}\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = _hmac(_key(keys.secret_key, day, region), to_sign).hex()
    credential = f"Credential={keys.access_key}/{scope}"
    sent["Authorization"] = f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
    return sent


@lru_cache(4)
def _key(secret_key: str, day: str, region: str) -> bytes:
    """The key of one day, the same for all its requests."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
