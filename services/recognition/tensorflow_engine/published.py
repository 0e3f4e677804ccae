"""docTR's published weights by name: from docTR's cache, or else fetched into it, whole or not at all."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from services.recognition.errors import WeightsNotFound
from services.recognition.tensorflow_engine.environment import published_models
from services.recognition.tensorflow_engine.model_files import DETECTION_MODELS, RECOGNITION_MODELS, SUFFIX
from services.recognition.weights import Weights, doctr_models_dir, find_model

_log = logging.getLogger(__name__)

_CONNECT_SECONDS_MAX = 20.0
_CHUNK_BYTES = 1 << 20
_FILE_MODE = 0o644


class Unreachable(Exception):
    """A published file that could not be fetched."""


def choose_weights(directory: Path | None, detection_model: str | None, recognition_model: str | None) -> Weights:
    """The files of weights that the settings mean.

    A directory comes first; then published models by name; then docTR's cache, where it holds models; then what ships.
    A published model that cannot be reached is told and passed over. Raises `WeightsNotFound`.
    """
    named = directory is None
    detection = _published(detection_model, DETECTION_MODELS) if named and detection_model else None
    recognition = _published(recognition_model, RECOGNITION_MODELS) if named and recognition_model else None
    return Weights(
        detection or find_model("detection", directory, (SUFFIX,)),
        recognition or find_model("recognition", directory, (SUFFIX,)),
    )


def _published(name: str, known: tuple[str, ...]) -> Path | None:
    """The file of a published model; None where it cannot be reached."""
    if name not in known:
        raise WeightsNotFound(f"docTR publishes no model {name!r} that this engine reads; it reads {', '.join(known)}.")
    url: str = published_models[name]["url"]
    path = doctr_models_dir() / url.rpartition("/")[2].partition("&")[0]
    try:
        return fetch(url, path)
    except Unreachable as error:
        _log.warning("the published weights of %s cannot be had (%s): the engine goes on without them", name, error)
        return None


def fetch(url: str, path: Path) -> Path:
    """`path`, fetched where it does not lie there yet; its name holds the first digits of its SHA-256.

    Others may fetch the same file at the same time. Raises `Unreachable`.
    """
    digest = path.name.removesuffix(SUFFIX).rpartition("-")[2]
    if path.is_file() and _sha256(path).startswith(digest):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        partial = Path(name)
        try:
            with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=_CONNECT_SECONDS_MAX) as reply:
                while chunk := reply.read(_CHUNK_BYTES):
                    file.write(chunk)
            if not _sha256(partial).startswith(digest):
                raise Unreachable(f"what {url} gave is not the file of that name")
            partial.chmod(_FILE_MODE)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:  # urllib's errors are among them
        raise Unreachable(f"{url}: {error}") from error
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
