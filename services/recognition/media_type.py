"""Which format a file is in, judged by its first bytes and never by its name."""

from __future__ import annotations

from services.recognition.errors import UnsupportedMediaType

PDF = "application/pdf"
HEIC = "image/heic"

# How many bytes `sniff` wants to see: readers of PDF accept its header within the first 1,024.
HEAD_BYTES = 1024

_MAGIC_NUMBERS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),  # BigTIFF
    (b"MM\x00+", "image/tiff"),
    (b"BM", "image/bmp"),
)
_BMP_HEADER_BYTES_MIN = 26
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"))


def sniff(head: bytes) -> str:
    """The media type of a file that starts with `head` (its first `HEAD_BYTES`, or all of it).

    Raises `UnsupportedMediaType` where that is no format that can be read.
    """
    if not head:
        raise UnsupportedMediaType("The file is empty; upload an image or a PDF.")
    for magic, media_type in _MAGIC_NUMBERS:
        if head.startswith(magic) and _plausible(media_type, head):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return HEIC
    if b"%PDF-" in head[:HEAD_BYTES]:
        return PDF
    raise UnsupportedMediaType(
        "The content is not a JPEG, PNG, WebP, TIFF, BMP, GIF or PDF, nor a HEIC, which is read where its decoder is "
        "installed, whatever the name says."
    )


def _plausible(media_type: str, head: bytes) -> bool:
    """Two letters are a weak sign for BMP: a text may start with them. Its reserved bytes are zero."""
    if media_type != "image/bmp":
        return True
    return len(head) >= _BMP_HEADER_BYTES_MIN and head[6:10] == b"\x00\x00\x00\x00"
