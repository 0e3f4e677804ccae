"""`ocr-services recognise`: the text of files, without broker or store. One line of JSON a file on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from services.recognition.engine import Engine, EngineName
    from services.recognition.rendering import PictureNames

_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".pdf", ".heic", ".heif"}
)  # fmt: skip
"""A file of such a name is meant to be read: if it cannot be, that is told."""

EXIT_SOME_FAILED = 1
EXIT_CANNOT_START = 2


def recognise(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Images and PDFs; of a folder, those in it.")],
    engine: Annotated[str, typer.Option(help="onnx (the default, fast) or tensorflow (the reference).")] = "onnx",
    render: Annotated[
        Path | None,
        typer.Option(help="Folder for a PNG of each page, boxes around its words, and the words as read beside it."),
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the models; 0 is one per core.", min=0)] = 0,
    weights: Annotated[Path | None, typer.Option(help="Folder with other models than those shipped.")] = None,
    detection_model: Annotated[
        str | None, typer.Option(help="A detector that docTR publishes, to be fetched (engine tensorflow).")
    ] = None,
    recognition_model: Annotated[
        str | None, typer.Option(help="A recogniser that docTR publishes, to be fetched (engine tensorflow).")
    ] = None,
) -> None:
    """Read files and print their text: {"image", "text", "language", "wordCount", "pages", "seconds"}.

    A file that cannot be read gives {"image", "text": "", "error": {"code", "reason"}}, and the exit status is 1.
    What lies in a folder and is an image or PDF neither by its content nor by its name is passed over.
    """
    from services.recognition.rendering import PictureNames

    reader = _load_engine(
        engine,
        threads=threads or None,
        weights_dir=weights,
        detection_model=detection_model,
        recognition_model=recognition_model,
    )
    paths, names = list(_expand(files)), PictureNames()
    failures = 0
    for path in _with_progress(paths):
        row = _recognise_one(path, reader, render, names)
        failures += "error" in row
        print(json.dumps(row, ensure_ascii=False), flush=True)
    if failures:
        raise typer.Exit(EXIT_SOME_FAILED)


def _load_engine(name: str, **options: Any) -> Engine:
    from services.recognition.engine import ENGINE_NAMES, EngineNotInstalled, WeightsNotFound, create_engine

    if name not in ENGINE_NAMES:
        raise typer.BadParameter(f"must be one of {', '.join(ENGINE_NAMES)}", param_hint="--engine")
    chosen: EngineName = "onnx" if name == "onnx" else "tensorflow"
    try:
        return create_engine(chosen, **options)
    except (EngineNotInstalled, WeightsNotFound) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from error


def _expand(files: list[Path]) -> Iterator[Path]:
    """Files as they are; of a folder its images and PDFs, in the order of their names."""
    for path in files:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(file for file in path.iterdir() if file.is_file())
        readable = [file for file in inside if file.suffix.lower() in _SUFFIXES or _is_readable(file)]
        if len(readable) < len(inside):
            typer.echo(f"{path}: {len(inside) - len(readable)} files that are no image or PDF passed over", err=True)
        yield from readable


def _is_readable(path: Path) -> bool:
    from services.recognition.errors import UnsupportedMediaType
    from services.recognition.media_type import HEAD_BYTES, sniff

    try:
        with path.open("rb") as file:
            sniff(file.read(HEAD_BYTES))
    except UnsupportedMediaType:
        return False
    except OSError:
        return True  # Reading it will say what is wrong with it.
    return True


def _with_progress(paths: list[Path]) -> Iterator[Path]:
    """Go through `paths`, with a progress bar on stderr where a person is watching."""
    if len(paths) < 2 or not sys.stderr.isatty():
        yield from paths
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(paths, description="Reading", console=Console(stderr=True))


def _recognise_one(path: Path, engine: Engine, render: Path | None, names: PictureNames) -> dict[str, Any]:
    from services.recognition.errors import RecognitionError
    from services.recognition.recognise import recognise_file

    started = time.perf_counter()
    try:
        document = recognise_file(path, engine)
        if render is not None:
            from services.recognition.rendering import render_document

            render_document(path, document, render, names.take(path))
    except RecognitionError as error:
        return _failed(path, error.code, error.reason)
    except OSError as error:
        return _failed(path, "file_not_found", str(error.strerror or error))
    return {
        "image": path.name,
        "text": document.text,
        "language": document.language,
        "wordCount": document.word_count,
        "pages": len(document.pages),
        "seconds": round(time.perf_counter() - started, 3),
    }


def _failed(path: Path, code: str, reason: str) -> dict[str, Any]:
    return {"image": path.name, "text": "", "error": {"code": code, "reason": reason}}
