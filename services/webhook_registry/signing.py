"""What proves to a receiver that a delivery is ours, whole, and of now."""

import hashlib
import hmac
import secrets as random
from collections.abc import Sequence

SIGNATURE_HEADER = "OCR-Signature"
_PREFIX = "whsec_"
_RANDOM_BYTES = 32


def new_secret() -> str:
    """A secret of 256 random bits."""
    return _PREFIX + random.token_urlsafe(_RANDOM_BYTES)


def signature(secrets: Sequence[str], timestamp: int, body: bytes) -> str:
    """The header's value, `t=<Unix seconds>,v1=<hex>`: HMAC-SHA256 over `<Unix seconds>.<body>`, one a secret.

    The time is signed with the body, so that a receiver can turn away what somebody recorded and sends again.
    """
    signed = f"{timestamp}.".encode() + body
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={digest}" for digest in digests)])
