"""The console's files: read once, each with its type and a validator; nothing outside the folder can be named."""

import hashlib
import importlib.resources
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

INDEX = "index.html"

_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class ConsoleFile:
    """One file as it is sent."""

    body: bytes
    content_type: str
    etag: str


def load_console_files() -> Mapping[str, ConsoleFile]:
    """Every file of the console by its name."""
    folder = importlib.resources.files("services.api").joinpath("console")
    bodies = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    return {
        name: ConsoleFile(body, _TYPES[extension], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        for name, body in bodies.items()
        if (extension := name.rpartition(".")[2]) in _TYPES
    }


def content_security_policy(*, upload_urls: Iterable[str] = (), image_urls: Iterable[str] = ()) -> str:
    """What the console may load and call: its own origin, the store it uploads to, and where images are shown from.

    No inline script or style, no frame around it, and no string ever becomes markup.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            " ".join(("img-src 'self' blob:", *_origins(image_urls))),
            " ".join(("connect-src 'self'", *_origins(upload_urls))),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _origins(urls: Iterable[str]) -> list[str]:
    parts = (urlsplit(url) for url in urls)
    return sorted({f"{part.scheme}://{part.netloc}" for part in parts if part.scheme in ("http", "https")})
