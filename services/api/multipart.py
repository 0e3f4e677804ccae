"""A file out of a `multipart/form-data` body that arrives in pieces. Source: RFC 7578."""

from collections.abc import Callable
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.api.errors import ApiError

FIELD = "file"
"""The name of the part that holds the file."""
OVERHEAD_BYTES_MAX = 65_536
"""How much a body may hold beside the file: boundaries, headers, other fields."""

_FILENAME_CHARACTERS_MAX = 1024
_SHOWN_NAME_CHARACTERS_MAX = 60


class FilePart:
    """Takes the body piece by piece and gives the file's bytes piece by piece; keeps neither."""

    def __init__(self, content_type: str | None) -> None:
        """Raises `ApiError`, `invalid_request`, unless the body's type is `multipart/form-data` with a boundary."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise _invalid(f"Send the file as multipart/form-data, in a part named '{FIELD}'")
        self.filename = ""
        self.found = False
        """Whether the file has begun."""
        self.complete = False
        """Whether the body has come to its end."""
        self._bytes = bytearray()
        self._overhead_bytes = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._in_file = False
        self._other: str | None = None
        """The name of the last part that is not the file."""
        self._other_is_a_file = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]
        except FormParserError as error:
            raise _invalid(f"The boundary is too long: {error}") from error

    def feed(self, piece: bytes) -> bytes:
        """What of the next piece of the body belongs to the file.

        Raises:
            ApiError: `invalid_request`: no multipart body, a second file, or too much beside the file.
        """
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _invalid(f"The body is no multipart/form-data: {error}") from error
        of_file = bytes(self._bytes)
        self._bytes.clear()
        self._overhead_bytes += len(piece) - len(of_file)
        if self._overhead_bytes > OVERHEAD_BYTES_MAX:
            if self._other_is_a_file and not self.found:
                raise self.lacks_file()
            raise _invalid(f"The body holds more than {OVERHEAD_BYTES_MAX} bytes beside the file")
        return of_file

    def lacks_file(self) -> ApiError:
        """The error of a body without the file: it names the part that came in its place."""
        message = f"The body has no part named '{FIELD}'"
        return _invalid(message if self._other is None else f"{message}; it has one named '{self._other}'")

    def _callbacks(self) -> dict[str, Callable[..., None]]:
        def name(data: bytes, start: int, end: int) -> None:
            self._header_name += data[start:end]

        def value(data: bytes, start: int, end: int) -> None:
            self._header_value += data[start:end]

        def content(data: bytes, start: int, end: int) -> None:
            if self._in_file:
                self._bytes += data[start:end]

        return {
            "on_part_begin": self._begin,
            "on_header_field": name,
            "on_header_value": value,
            "on_header_end": self._header,
            "on_headers_finished": self._headers,
            "on_part_data": content,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition, self._in_file = b"", False

    def _header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if name != FIELD.encode():
            self._other = None if name is None else _shown(_text(name))
            self._other_is_a_file = b"filename" in options
            return
        if self.found:
            raise _invalid("One file at a time: the body has several")
        self._in_file = self.found = True
        self.filename = _text(options.get(b"filename", b""))[:_FILENAME_CHARACTERS_MAX]

    def _end(self) -> None:
        self.complete = True


def _text(raw: Any) -> str:
    return bytes(raw).decode("utf-8", "replace")


def _shown(name: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in name)
    is_short = len(printable) <= _SHOWN_NAME_CHARACTERS_MAX
    return printable if is_short else f"{printable[:_SHOWN_NAME_CHARACTERS_MAX]}..."


def _invalid(message: str) -> ApiError:
    return ApiError("invalid_request", message, {"Connection": "close"})
