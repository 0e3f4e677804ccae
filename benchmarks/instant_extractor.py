"""The extractor around an engine that costs nothing, or a given time a page: what is left is the pipeline."""

import os
import sys
import time
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.extractor.__main__ import run
from services.extractor.settings import ExtractorSettings
from services.recognition.engine import FoundWord, PageWords
from services.recognition.frame import Frame

PAGE_SECONDS_VARIABLE = "BENCHMARK_PAGE_SECONDS"


class InstantEngine:
    """Finds three words on every page."""

    name = "instant"
    model_version = "0"

    def __init__(self, page_seconds: float = 0.0) -> None:
        self._page_seconds = page_seconds

    def read_page(self, image: NDArray[np.uint8]) -> PageWords:
        """Three words, after the time that a page takes."""
        if self._page_seconds:
            time.sleep(self._page_seconds)
        height, width = image.shape[:2]
        words = tuple(FoundWord(f"word{n}", 0.9, (n * 10.0, 2.0, n * 10.0 + 8.0, 18.0)) for n in range(3))
        return PageWords(words, Frame.as_shown(width, height))


def main() -> None:
    """Runs the extractor."""
    # By its name in this module, which the recognising child imports; here it is one of `__main__`.
    from benchmarks.instant_extractor import InstantEngine

    page_seconds = float(os.environ.get(PAGE_SECONDS_VARIABLE, "0"))
    sys.exit(run(ExtractorSettings(), partial(InstantEngine, page_seconds)))


if __name__ == "__main__":
    main()
