"""From a file and its layout to a searchable PDF."""

from pathlib import Path

from pikepdf import ObjectStreamMode, Pdf, PdfError, String

from services.recognition.errors import UnreadableDocument
from services.recognition.media_type import HEAD_BYTES, PDF, sniff
from services.searchable_pdf.from_image import new_with_text
from services.searchable_pdf.from_pdf import open_with_text
from services.searchable_pdf.layout import Layout

_PRODUCER = "OCR Services"
_LANGUAGE_UNDETERMINED = "und"


def make_searchable_pdf(source: Path, layout: Layout, target: Path) -> None:
    """Writes to `target` what `source` looks like, with the words of `layout` on it.

    Raises:
        RecognitionError: the file cannot be decoded, or is not the one that was read.
    """
    with source.open("rb") as file:
        is_pdf = sniff(file.read(HEAD_BYTES)) == PDF
    with open_with_text(source, layout) if is_pdf else new_with_text(source, layout) as pdf:
        if not is_pdf:
            pdf.docinfo["/Producer"] = String(_PRODUCER)
        _say_language(pdf, layout.language)
        # Without a time or a random part in it, the same request gives the same file.
        try:
            pdf.save(target, object_stream_mode=ObjectStreamMode.generate, deterministic_id=True)
        except PdfError as error:  # parts of a document that nothing had looked at before
            raise UnreadableDocument("The PDF is too damaged to be written anew.") from error


def _say_language(pdf: Pdf, language: str) -> None:
    if language != _LANGUAGE_UNDETERMINED and "/Lang" not in pdf.Root:
        pdf.Root.Lang = String(language)
