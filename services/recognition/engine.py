"""What an engine is, and how to get one by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from services.recognition.errors import EngineNotInstalled, WeightsNotFound
from services.recognition.frame import Frame
from services.recognition.pages import Box

__all__ = [
    "ENGINE_NAMES",
    "Engine",
    "EngineName",
    "EngineNotInstalled",
    "FoundWord",
    "PageWords",
    "WeightsNotFound",
    "create_engine",
]

EngineName = Literal["onnx", "tensorflow"]
ENGINE_NAMES: tuple[EngineName, ...] = ("onnx", "tensorflow")


@dataclass(frozen=True)
class FoundWord:
    """A word before it has a place in the reading order; `box` is in pixels of the upright page."""

    text: str
    confidence: float
    box: Box


@dataclass(frozen=True)
class PageWords:
    """The words of one page, in no order, and how the upright page they stand on lies on the page as shown."""

    words: tuple[FoundWord, ...]
    frame: Frame


class Engine(Protocol):
    """Reads pages. Not to be shared between threads: one per process."""

    name: str
    model_version: str

    def read_page(self, image: NDArray[np.uint8]) -> PageWords:
        """Read a page of height x width x 3, RGB."""


def create_engine(
    name: EngineName = "onnx",
    *,
    threads: int | None = None,
    weights_dir: Path | None = None,
    detection_model: str | None = None,
    recognition_model: str | None = None,
) -> Engine:
    """Load an engine's models.

    threads: of the networks; None is as many as the process may run on.
    weights_dir: where the models lie; None is those in docTR's cache, or else those that ship with this package.
    detection_model, recognition_model: names of models that docTR publishes, which "tensorflow" fetches where
    there is no `weights_dir`; what cannot be reached is told, and gives way to what would be read without.
    Raises `EngineNotInstalled` or `WeightsNotFound`.
    """
    threads = threads or len(os.sched_getaffinity(0))
    if name == "tensorflow":
        return _create_tensorflow_engine(threads, weights_dir, detection_model, recognition_model)
    if detection_model or recognition_model:
        raise WeightsNotFound("docTR publishes weights for TensorFlow: choose the engine 'tensorflow' to use them.")
    return _create_onnx_engine(threads, weights_dir)


def _create_onnx_engine(threads: int, weights_dir: Path | None) -> Engine:
    try:
        import cv2

        from services.recognition.onnx_engine import OnnxNetworks
    except ImportError as error:
        raise EngineNotInstalled(
            f"The engine 'onnx' is not installed ({error.name} is missing); install it with"
            " `make install`, or in a clone with `pip install '.[recognition]'`."
        ) from error
    from services.recognition.page_reader import PageReader
    from services.recognition.weights import find_weights

    cv2.setNumThreads(threads)
    weights = find_weights(weights_dir)
    networks = OnnxNetworks(weights.detection, weights.recognition, threads)
    return PageReader("onnx", weights.version, networks)


def _create_tensorflow_engine(
    threads: int, weights_dir: Path | None, detection_model: str | None, recognition_model: str | None
) -> Engine:
    try:
        import cv2

        from services.recognition.tensorflow_engine.networks import load_networks
    except ImportError as error:
        raise EngineNotInstalled(
            f"The engine 'tensorflow' is not installed ({error.name} is missing); install the extra"
            " `ocr-services[tensorflow]` with `make install-all`, or in a clone with `pip install '.[cli,tensorflow]'`."
        ) from error
    from services.recognition.page_reader import PageReader

    cv2.setNumThreads(threads)
    networks, version = load_networks(weights_dir, detection_model, recognition_model, threads)
    return PageReader("tensorflow", version, networks)
