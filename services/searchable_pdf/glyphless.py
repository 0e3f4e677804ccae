"""A font without shapes: letters that can be searched, selected and copied, and of which nothing is drawn.

It has one glyph, a line without an area: nothing is drawn of it, and yet it has the height and width by which readers
tell where a letter stands. Each character that is used gets a number (CID) of its own, all of them are drawn with that
glyph, and a table says which character each number stands for.
"""

import struct
from collections.abc import Iterable, Mapping

from pikepdf import Array, Dictionary, Name, Object, Pdf

ADVANCE = 500
"""The width of every letter, in thousandths of its height."""
ASCENT, DESCENT = 800, -200

_UNITS_PER_EM = 1000
_GLYPHS = 2  # the one for what is missing, and the line
_ENTRIES_MAX = 100  # of one bfchar section


class Characters:
    """The numbers of the characters that a document uses."""

    def __init__(self) -> None:
        self._cids: dict[str, int] = {}

    def encode(self, text: str) -> str:
        """Text as the hexadecimal string of a PDF; characters that cannot be written are left out."""
        sayable = (character for character in text if not 0xD800 <= ord(character) <= 0xDFFF)
        return "".join(f"{self._cids.setdefault(each, len(self._cids) + 1):04x}" for each in sayable)

    @property
    def cids(self) -> Mapping[str, int]:
        """What was encoded so far."""
        return self._cids


def add_font(pdf: Pdf, characters: Characters) -> Object:
    """The font object for these characters; to be made when all of them are known."""
    name = Name.OcrServicesGlyphless
    program = font_program()
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=name,
        Flags=5,  # fixed pitch, symbolic
        FontBBox=Array([0, DESCENT, ADVANCE, ASCENT]),
        ItalicAngle=0,
        Ascent=ASCENT,
        Descent=DESCENT,
        CapHeight=ASCENT,
        StemV=80,
        FontFile2=pdf.make_stream(program, Length1=len(program)),
    )
    glyphs = struct.pack(">H", 0) + struct.pack(">H", 1) * len(characters.cids)
    descendant = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=name,
        CIDSystemInfo=Dictionary(Registry="Adobe", Ordering="Identity", Supplement=0),
        FontDescriptor=pdf.make_indirect(descriptor),
        DW=ADVANCE,
        CIDToGIDMap=pdf.make_stream(glyphs),
    )
    font = Dictionary(
        Type=Name.Font,
        Subtype=Name.Type0,
        BaseFont=name,
        Encoding=Name("/Identity-H"),
        DescendantFonts=Array([pdf.make_indirect(descendant)]),
        ToUnicode=pdf.make_stream(_to_unicode(characters.cids)),
    )
    return pdf.make_indirect(font)


def _to_unicode(cids: Mapping[str, int]) -> bytes:
    entries = [f"<{cid:04x}> <{character.encode('utf-16-be').hex()}>" for character, cid in cids.items()]
    sections = (entries[start : start + _ENTRIES_MAX] for start in range(0, len(entries), _ENTRIES_MAX))
    mappings = "\n".join(f"{len(each)} beginbfchar\n" + "\n".join(each) + "\nendbfchar" for each in sections)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /OcrServices-UCS def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{mappings}\nendcmap CMapName currentdict /CMap defineresource pop end end\n"
    ).encode("ascii")


def font_program() -> bytes:
    """A TrueType font, as small as one can be. Source: the OpenType specification."""
    head = struct.pack(
        # The third number is patched below; a fixed time keeps the font the same for ever.
        ">IIIIHHQQ4hHHhhh",
        *(0x00010000, 0x00010000, 0, 0x5F0F3CF5, 0, _UNITS_PER_EM, 0, 0),
        *(0, DESCENT, ADVANCE, ASCENT, 0, 8, 2, 0, 0),
    )
    hhea = struct.pack(">IhhhHhhhhhhhhhhhH", 0x00010000, ASCENT, DESCENT, 0, ADVANCE, *[0] * 11, 1)
    line = _line()
    tables = {
        b"cmap": struct.pack(">HHHHI", 0, 1, 3, 1, 12) + _cmap(),
        b"glyf": line,
        b"head": head,
        b"hhea": hhea,
        b"hmtx": struct.pack(">Hh", ADVANCE, 0) + bytes(2),
        b"loca": struct.pack(">HHH", 0, 0, len(line) // 2),
        b"maxp": struct.pack(">4H", 1, 0, _GLYPHS, 3) + struct.pack(">H", 1) + bytes(22),
    }
    return _assembled(tables)


def _line() -> bytes:
    """A glyph of three points: from the lower left corner of a letter's box to the upper right, and back."""
    height = ASCENT - DESCENT
    box = struct.pack(">5h", 1, 0, DESCENT, ADVANCE, ASCENT)
    on_curve, long_steps = 1, struct.pack(">3h3h", 0, ADVANCE, -ADVANCE, DESCENT, height, -height)
    return box + struct.pack(">HH3B", 2, 0, *[on_curve] * 3) + long_steps + bytes(1)


def _cmap() -> bytes:
    """Format 4 with the last segment alone, which every such table must have: no character has a glyph."""
    return struct.pack(">7H", 4, 24, 0, 2, 2, 0, 0) + struct.pack(">HHHhH", 0xFFFF, 0, 0xFFFF, 1, 0)


def _assembled(tables: Mapping[bytes, bytes]) -> bytes:
    count = len(tables)
    exponent = count.bit_length() - 1
    directory = struct.pack(">IHHHH", 0x00010000, count, 16 << exponent, exponent, 16 * count - (16 << exponent))
    offset, body = len(directory) + 16 * count, b""
    for tag, table in tables.items():
        directory += struct.pack(">4sIII", tag, _checksum(table), offset + len(body), len(table))
        body += table + bytes(-len(table) % 4)
    font = directory + body
    head = offset + sum(len(table) + -len(table) % 4 for tag, table in _before(tables, b"head"))
    adjustment = (0xB1B0AFBA - _checksum(font)) & 0xFFFFFFFF
    return font[: head + 8] + struct.pack(">I", adjustment) + font[head + 12 :]


def _before(tables: Mapping[bytes, bytes], tag: bytes) -> Iterable[tuple[bytes, bytes]]:
    return ((name, table) for name, table in tables.items() if name < tag)


def _checksum(table: bytes) -> int:
    padded = table + bytes(-len(table) % 4)
    total: int = sum(struct.unpack(f">{len(padded) // 4}I", padded))
    return total & 0xFFFFFFFF
