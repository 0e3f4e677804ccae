"""Small files that ask for much: each claims, or unpacks to, more than anybody should give it."""

import io
import struct
import zlib
from collections.abc import Sequence

from PIL import Image


def png(width: int, height: int, colour_type: int = 0) -> bytes:
    """Black, with all its rows: 10,000 x 10,000 of them are 100 KB. Colour types: 0 grey, 2 RGB, 6 RGBA."""
    channels = {0: 1, 2: 3, 6: 4}[colour_type]
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    rows = zeros(height * (1 + width * channels))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def png_with_a_text_that_unpacks(size_bytes: int) -> bytes:
    """A picture of a pixel, and behind it a compressed remark."""
    whole = png(1, 1)
    remark = _chunk(b"zTXt", b"x\0\0" + zeros(size_bytes))
    return whole[: whole.index(b"IDAT") - 4] + remark + whole[whole.index(b"IDAT") - 4 :]


def gif_that_claims(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """A GIF with the pixels of next to nothing."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00;"


def gif_of_frames(count: int) -> bytes:
    """The same picture of 40 x 20 so many times."""
    buffer = io.BytesIO()
    Image.new("L", (40, 20), 255).save(buffer, "GIF")
    whole = buffer.getvalue()
    frame = whole.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 40, 20))
    return whole[:frame] + whole[frame:-1] * count + whole[-1:]


def webp_of_frames(count: int) -> bytes:
    """An animation of 40 x 20."""
    buffer = io.BytesIO()
    images = [Image.new("RGB", (40, 20), (number % 256, number // 256, 0)) for number in range(count)]
    images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:], lossless=True, quality=0, method=0)
    return buffer.getvalue()


def webp_that_claims(width: int, height: int) -> bytes:
    """A lossless WebP of 8 x 8 whose header says otherwise."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "WEBP", lossless=True)
    whole = bytearray(buffer.getvalue())
    sizes = whole.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", whole, sizes)
    # Two of fourteen bits, each less one; what is above them stays.
    struct.pack_into("<I", whole, sizes, bits >> 28 << 28 | (height - 1) << 14 | (width - 1))
    return bytes(whole)


def jpeg_that_claims(width: int, height: int) -> bytes:
    """A JPEG of 8 x 8 whose header says otherwise."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG")
    whole = bytearray(buffer.getvalue())
    frame = whole.index(b"\xff\xc0")
    whole[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(whole)


def tiff(width: int, height: int, strip: bytes, claimed_strip_bytes: int | None = None) -> bytes:
    """Grey, deflated, in a single strip."""
    return _tiff([_tags(width, height, len(strip) if claimed_strip_bytes is None else claimed_strip_bytes)], strip)


def tiff_of_thumbnails(count: int) -> bytes:
    """A page, and behind it so many smaller copies of it."""
    strip = zeros(64)
    page = _tags(8, 8, len(strip))
    return _tiff([page, *[{**page, 254: 1}] * count], strip)


def tiff_without_end() -> bytes:
    """A TIFF whose only directory says that it is the next one, too."""
    whole = bytearray(tiff(8, 8, zeros(64)))
    (entries,) = struct.unpack_from("<H", whole, 8)
    struct.pack_into("<I", whole, 10 + 12 * entries, 8)
    return bytes(whole)


def bmp_that_claims(width: int, height: int) -> bytes:
    """A bitmap with a few of its bytes."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + header + bytes(900)


def pdf(
    content: bytes = b"",
    *,
    pages: int = 1,
    box: str = "[0 0 612 792]",
    filters: str = "",
    resources: str = "",
    objects: Sequence[bytes] = (),
) -> bytes:
    """Pages of the same content; of one page, the first of `objects` is number 5."""
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(pages))
    parts = [b"<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode()]
    for number in range(pages):
        page = f"/MediaBox {box} /Contents {4 + 2 * number} 0 R /Resources << {resources} >>"
        parts += [f"<< /Type /Page /Parent 2 0 R {page} >>".encode(), _stream(filters, content)]
    out, offsets = b"%PDF-1.7\n", []
    for number, part in enumerate([*parts, *objects], 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1)
    trailer = b"trailer << /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF\n" % (len(offsets) + 1, len(out))
    return out + head + table + trailer


def pdf_of_long_content(size_bytes: int) -> bytes:
    """A page whose drawing instructions unpack to so much, all of it at once."""
    return pdf(zlib.compress(zeros(size_bytes), 9), filters="/Filter [/FlateDecode /FlateDecode]")


def pdf_of_a_pattern() -> bytes:
    """A page filled with tiles that are set a ten-thousandth of a point apart."""
    about = "/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.0001 /YStep 0.0001"
    fill = b"/Pattern cs /P scn 0 0 612 792 re f"
    return pdf(fill, resources="/Pattern << /P 5 0 R >>", objects=[_stream(about, b"0 0 1 1 re f")])


def pdf_whose_pages_are_a_ring() -> bytes:
    """A tree of pages that is its own branch."""
    return (
        b"%PDF-1.7\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n"
        b"2 0 obj << /Type /Pages /Kids [2 0 R 2 0 R] /Count 100 >> endobj\ntrailer << /Root 1 0 R /Size 3 >>\n%%EOF\n"
    )


def zeros(size_bytes: int) -> bytes:
    """So many zeros, deflated to a thousandth."""
    packer, block, out = zlib.compressobj(9), bytes(1 << 20), []
    for start in range(0, size_bytes, len(block)):
        out.append(packer.compress(block[: size_bytes - start]))
    return b"".join([*out, packer.flush()])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _stream(about: str, data: bytes) -> bytes:
    return f"<< {about} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def _tags(width: int, height: int, strip_bytes: int) -> dict[int, int]:
    return {
        254: 0, 256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 0, 277: 1, 278: height, 279: strip_bytes,
    }  # fmt: skip


def _tiff(directories: Sequence[dict[int, int]], strip: bytes) -> bytes:
    size = 2 + 12 * len(directories[0]) + 4
    strip_at = 8 + size * len(directories)
    out = [b"II*\0" + struct.pack("<I", 8)]
    for number, tags in enumerate(directories, 1):
        entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted((tags | {273: strip_at}).items())]
        following = 8 + size * number if number < len(directories) else 0
        out += [struct.pack("<H", len(entries)), *entries, struct.pack("<I", following)]
    return b"".join([*out, strip])
