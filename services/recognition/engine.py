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


def create_engine(name: EngineName = "onnx", *, threads: int | None = None, weights_dir: Path | None = None) -> Engine:
    """Load an engine's models.

    threads: of the networks; None is as many as the process may run on.
    weights_dir: where the models lie; None is those that ship with this package.
    Raises `EngineNotInstalled` or `WeightsNotFound`.
    """
    threads = threads or len(os.sched_getaffinity(0))
    if name == "onnx":
        return _create_onnx_engine(threads, weights_dir)
    raise EngineNotInstalled(
        "The engine 'tensorflow' is not installed; install it with"
        " `pip install 'ocr-services[tensorflow]'` or `make install-all`."
    )


def _create_onnx_engine(threads: int, weights_dir: Path | None) -> Engine:
    try:
        import cv2

        from services.recognition.onnx_engine import OnnxNetworks
    except ImportError as error:
        raise EngineNotInstalled(
            f"The engine 'onnx' is not installed ({error.name} is missing); install it with"
            " `pip install 'ocr-services[recognition]'` or `make install`."
        ) from error
    from services.recognition.page_reader import PageReader
    from services.recognition.weights import find_weights

    cv2.setNumThreads(threads)
    weights = find_weights(weights_dir)
    networks = OnnxNetworks(weights.detection, weights.recognition, threads)
    return PageReader("onnx", weights.version, networks)
