"""Where the models lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from services.recognition.errors import WeightsNotFound

SHIPPED_DIR = Path(__file__).parent / "weights"

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
        return f"{self.detection.stem}+{self.recognition.stem}@{digest.hexdigest()[:12]}"


def find_weights(directory: Path | None = None, suffix: str = ".onnx") -> Weights:
    """The models in `directory`, or else those that ship with this package. Raises `WeightsNotFound`."""
    directory = directory or SHIPPED_DIR
    return Weights(
        _only(directory, _DETECTION_PREFIXES, suffix, "detection"),
        _only(directory, _RECOGNITION_PREFIXES, suffix, "recognition"),
    )


def _only(directory: Path, prefixes: tuple[str, ...], suffix: str, kind: str) -> Path:
    found = sorted(path for path in directory.glob(f"*{suffix}") if path.name.startswith(prefixes))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        wanted = " or ".join(f"{prefix}*{suffix}" for prefix in prefixes)
        raise WeightsNotFound(f"{directory} must hold exactly one {kind} model ({wanted}); it holds {names}.")
    return found[0]
