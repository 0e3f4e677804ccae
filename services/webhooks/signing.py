"""What proves to a receiver that a delivery is ours, whole, and of now."""

import hashlib
import hmac
import secrets

SIGNATURE_HEADER = "OCR-Signature"
_PREFIX = "whsec_"
_RANDOM_BYTES = 32


def new_secret() -> str:
    """A secret of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The header's value, `t=<Unix seconds>,v1=<hex>`: HMAC-SHA256 over `<Unix seconds>.<body>`.

    The time is signed with the body, so that a receiver can turn away what somebody recorded and sends again.
    """
    signed = f"{timestamp}.".encode() + body
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
