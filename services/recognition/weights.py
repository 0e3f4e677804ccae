"""Where the models lie."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from services.recognition.errors import WeightsNotFound

SHIPPED_DIR = Path(__file__).parent / "weights"

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


def find_weights(directory: Path | None = None, suffix: str = ".onnx") -> Weights:
    """The models in `directory`, or else those in docTR's cache, or else those that ship with this package.

    Raises `WeightsNotFound` where `directory` does not hold exactly one model of each kind with that suffix.
    """
    return Weights(find_model("detection", directory, suffix), find_model("recognition", directory, suffix))


def find_model(kind: Kind, directory: Path | None, suffix: str) -> Path:
    """One of the two that `find_weights` finds. Raises `WeightsNotFound`."""
    if directory is None:
        # A cache that is not named in the environment is one that nobody meant for us.
        cached = os.environ.get(_CACHE_VARIABLE) and _models(kind, doctr_models_dir(), suffix)
        directory = doctr_models_dir() if cached else SHIPPED_DIR
    found = _models(kind, directory, suffix)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        wanted = " or ".join(f"{prefix}*{suffix}" for prefix in _PREFIXES[kind])
        raise WeightsNotFound(f"{directory} must hold exactly one {kind} model ({wanted}); it holds {names}.")
    return found[0]


def doctr_models_dir() -> Path:
    """Where docTR keeps models: below `DOCTR_CACHE_DIR` where the environment has one."""
    return Path(os.environ.get(_CACHE_VARIABLE) or Path.home() / ".cache" / "doctr") / "models"


def _models(kind: Kind, directory: Path, suffix: str) -> list[Path]:
    return sorted(path for path in directory.glob(f"*{suffix}") if path.name.startswith(_PREFIXES[kind]))
