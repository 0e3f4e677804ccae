"""Where the models lie."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from services.recognition.errors import WeightsNotFound

SHIPPED_DIR = Path(__file__).parent / "weights"

_CACHE_VARIABLE = "DOCTR_CACHE_DIR"

# docTR's architectures of each kind; a model file is named after the one it holds.
_DETECTION_PREFIXES = ("db_", "linknet_", "fast_", "detection")
_RECOGNITION_PREFIXES = ("crnn_", "recognition")


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

    Raises `WeightsNotFound` where the folder does not hold exactly one model of each kind with that suffix.
    """
    directory = directory or _filled_cache(suffix) or SHIPPED_DIR
    return Weights(
        _only(directory, _DETECTION_PREFIXES, suffix, "detection"),
        _only(directory, _RECOGNITION_PREFIXES, suffix, "recognition"),
    )


def doctr_models_dir() -> Path:
    """Where docTR keeps models: below `DOCTR_CACHE_DIR` where the environment has one."""
    return Path(os.environ.get(_CACHE_VARIABLE) or Path.home() / ".cache" / "doctr") / "models"


def _filled_cache(suffix: str) -> Path | None:
    """docTR's cache where the environment names one and models for this engine lie in it."""
    if not os.environ.get(_CACHE_VARIABLE):
        return None
    return doctr_models_dir() if any(doctr_models_dir().glob(f"*{suffix}")) else None


def _only(directory: Path, prefixes: tuple[str, ...], suffix: str, kind: str) -> Path:
    found = sorted(path for path in directory.glob(f"*{suffix}") if path.name.startswith(prefixes))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        wanted = " or ".join(f"{prefix}*{suffix}" for prefix in prefixes)
        raise WeightsNotFound(f"{directory} must hold exactly one {kind} model ({wanted}); it holds {names}.")
    return found[0]
