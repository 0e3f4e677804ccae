"""What mutation begins with: the committed examples of every event and document, and notifications of every store."""

from __future__ import annotations

from pathlib import Path

from tests.contract.examples import DOCUMENT_EXAMPLES, EVENT_EXAMPLES
from tests.fuzz.targets import pack

_NOTIFICATIONS = Path(__file__).parents[1] / "unit" / "intake" / "notifications"


def corpora() -> dict[str, list[bytes]]:
    """Valid inputs by the name of their corpus."""
    return {
        "events": [pack(each.headers, each.body) for each in EVENT_EXAMPLES],
        "documents": [each.body for each in DOCUMENT_EXAMPLES],
        "notifications": [path.read_bytes() for path in sorted(_NOTIFICATIONS.glob("*.json"))],
        "keys": [b"ocr/alice/a.png", "ocr/alice/grün b+c.jpeg".encode(), b"ocr/a.b-c_d/%2e%2e.pdf"],
        "starts": [b'{"begun":1,"alone":0}', b'{"begun":2,"alone":1}', b""],
    }
