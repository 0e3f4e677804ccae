"""Where the models lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from services.recognition.errors import WeightsNotFound

SHIPPED_DIR = Path(__file__).parent / "weights"

# Of the int8 form, where there is one, the convolutions compute in eight bits: several times faster.
ONNX_SUFFIXES = (".int8.onnx", ".onnx")

_CACHE_VARIABLE = "DOCTR_CACHE_DIR"

Kind = Literal["detection", "recognition"]

# docTR's architectures of each kind; a model file is named after the one it holds.
_PREFIXES: dict[Kind, tuple[str, ...]] = {
    "detection": ("db_", "linknet_", "fast_", "detection"),
    "recognition": ("crnn_", "recognition"),
}


@dataclass(frozen=True)
class Weights:
    """One model of each kind."""

    detection: Path
    recognition: Path

    @cached_property
    def version(self) -> str:
        """Names of both models and a digest of their bytes: other weights, another version."""
        digest = hashlib.sha256()
        for path in (self.detection, self.recognition):
            digest.update(path.read_bytes())
        names = (path.name.partition(".")[0] for path in (self.detection, self.recognition))
        return f"{'+'.join(names)}@{digest.hexdigest()[:12]}"


def find_weights(directory: Path | None = None, suffixes: Sequence[str] = ONNX_SUFFIXES) -> Weights:
    """The models in `directory`, or else those in docTR's cache, or else those that ship with this package.

    suffixes: the forms that will do, the best first. Raises `WeightsNotFound` where a folder does not hold exactly
    one model of each kind in the first form that it holds.
    """
    return Weights(find_model("detection", directory, suffixes), find_model("recognition", directory, suffixes))


def find_model(kind: Kind, directory: Path | None, suffixes: Sequence[str]) -> Path:
    """One of the two that `find_weights` finds. Raises `WeightsNotFound`."""
    if directory is None:
        # A cache that is not named in the environment is one that nobody meant for us.
        cached = os.environ.get(_CACHE_VARIABLE) and _in_best_form(kind, doctr_models_dir(), suffixes)
        directory = doctr_models_dir() if cached else SHIPPED_DIR
    found = _in_best_form(kind, directory, suffixes)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        wanted = " or ".join(f"{prefix}*{suffixes[-1]}" for prefix in _PREFIXES[kind])
        raise WeightsNotFound(f"{directory} must hold exactly one {kind} model ({wanted}); it holds {names}.")
    return found[0]


def doctr_models_dir() -> Path:
    """Where docTR keeps models: below `DOCTR_CACHE_DIR` where the environment has one."""
    return Path(os.environ.get(_CACHE_VARIABLE) or Path.home() / ".cache" / "doctr") / "models"


def _in_best_form(kind: Kind, directory: Path, suffixes: Sequence[str]) -> list[Path]:
    """The models of a kind in the first form of which there are any."""
    forms = (_with_suffix(directory, suffix) for suffix in suffixes)
    models = ([path for path in paths if path.name.startswith(_PREFIXES[kind])] for paths in forms)
    return next(filter(None, models), [])


def _with_suffix(directory: Path, suffix: str) -> list[Path]:
    """Files whose name ends, from its first dot on, in `suffix`: `.onnx` leaves `.int8.onnx` out."""
    return sorted(path for path in directory.glob(f"*{suffix}") if path.name.partition(".")[2] == suffix[1:])
