"""A searchable PDF of a PDF: its own pages, with words laid under those that have no text of their own."""

from collections.abc import Iterator
from pathlib import Path

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Pdf

from services.recognition.errors import UnreadableDocument
from services.searchable_pdf.glyphless import Characters, add_font
from services.searchable_pdf.layout import Layout, Page
from services.searchable_pdf.text_layer import FONT_NAME, Placement, text_layer

_SHOWING_OPERATORS = {b"Tj", b"TJ", b"'", b'"'}
# What the library raises where a document has something else than it should, next to its own errors.
_BROKEN = (pikepdf.PdfError, TypeError, ValueError, LookupError, AttributeError, RuntimeError)
_OWN_TEXT_SHARE_MIN = 0.5
"""A page that shows at least this share of the letters read on it as text is searchable already."""
_FORMS_DEPTH_MAX = 5


def open_with_text(path: Path, layout: Layout) -> Pdf:
    """The PDF with its text layers, to be saved. Raises `UnreadableDocument`."""
    try:
        pdf = pikepdf.open(path)
        if len(pdf.pages) != len(layout.pages):
            raise UnreadableDocument("The file has other pages than those that were read.")
        characters = Characters()
        layers = [_layer(shown, page, characters) for shown, page in zip(pdf.pages, layout.pages, strict=True)]
        font = add_font(pdf, characters)
        for shown, layer in zip(pdf.pages, layers, strict=True):
            if layer:
                _lay_under(pdf, shown, layer, font)
    except _BROKEN as error:
        raise UnreadableDocument("The PDF is too damaged to be written anew.") from error
    return pdf


def _layer(shown: pikepdf.Page, page: Page, characters: Characters) -> bytes:
    letters = sum(len(word.text) for word in page.words)
    if letters == 0 or _shown_bytes(shown.obj) >= _OWN_TEXT_SHARE_MIN * letters:
        return b""
    return text_layer(page, _placement(shown), characters)


def _placement(shown: pikepdf.Page) -> Placement:
    """How the page lies: as a viewer shows it, cropped and turned."""
    crop, media = _sides(shown.cropbox), _sides(shown.mediabox)
    left, bottom = max(crop[0], media[0]), max(crop[1], media[1])
    right, top = min(crop[2], media[2]), min(crop[3], media[3])
    wide, high = right - left, top - bottom
    return {
        0: Placement((left, top), (wide, 0.0), (0.0, -high)),
        90: Placement((left, bottom), (0.0, high), (wide, 0.0)),
        180: Placement((right, bottom), (-wide, 0.0), (0.0, high)),
        270: Placement((right, top), (0.0, -high), (-wide, 0.0)),
    }[_rotation(shown)]


def _sides(box: Object) -> tuple[float, float, float, float]:
    """Left, bottom, right, top, in whichever order the corners are given."""
    x0, y0, x1, y1 = (float(side) for side in box.as_list())
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _rotation(shown: pikepdf.Page) -> int:
    said = _inherited(shown.obj, "/Rotate")
    turns = int(said) % 360 if said is not None else 0
    return turns if turns % 90 == 0 else 0


def _lay_under(pdf: Pdf, shown: pikepdf.Page, layer: bytes, font: Object) -> None:
    resources = _inherited(shown.obj, "/Resources")
    # A dictionary of the page's own: the one it has may be its parent's, or that of pages with text.
    own = _copied(resources)
    own.Font = _copied(own.get("/Font"))
    own.Font[FONT_NAME] = font
    shown.obj.Resources = own
    # What the page leaves of the graphics state must not move the words.
    shown.contents_add(pdf.make_stream(b"q\n"), prepend=True)
    shown.contents_add(pdf.make_stream(b"\nQ\n" + layer))


def _copied(dictionary: Object | None) -> Dictionary:
    return Dictionary(dict(dictionary.items()) if isinstance(dictionary, Dictionary) else {})


def _inherited(node: Object, name: str) -> Object | None:
    for _ in range(100):
        if name in node:
            return node[name]
        parent = node.get("/Parent")
        if not isinstance(parent, Dictionary):
            return None
        node = parent
    return None


def _shown_bytes(stream: Object, depth: int = 0) -> int:
    """How many bytes of strings a page, or a form on it, shows as text. About as many as letters, or twice that."""
    try:
        instructions = pikepdf.parse_content_stream(stream)
    except _BROKEN:
        return 0
    resources = _inherited(stream, "/Resources")
    count = 0
    for instruction in instructions:
        operator = instruction.operator.unparse()
        if operator in _SHOWING_OPERATORS:
            count += sum(len(bytes(each)) for each in _strings(list(instruction.operands)))
        elif operator == b"Do" and depth < _FORMS_DEPTH_MAX and isinstance(resources, Dictionary):
            form = resources.get("/XObject", Dictionary()).get(str(instruction.operands[0]))
            if isinstance(form, pikepdf.Stream) and form.get("/Subtype") == Name.Form:
                count += _shown_bytes(form, depth + 1)
    return count


def _strings(operands: list[object]) -> Iterator[pikepdf.String]:
    for operand in operands:
        if isinstance(operand, pikepdf.String):
            yield operand
        elif isinstance(operand, Array):
            yield from (each for each in operand.as_list() if isinstance(each, pikepdf.String))
