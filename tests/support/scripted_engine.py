"""An engine that does what the picture tells it: the colour of its first pixel is the script.

Runs as an extractor of the tests: `python -m tests.support.scripted_engine`.
"""

import io
import os
import signal
import sys
import time
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.recognition.engine import FoundWord, PageWords
from services.recognition.frame import Frame

WORD_PIXELS = 10
HEIGHT_PIXELS = 20

READ = (255, 255, 255)
CRASH = (255, 0, 0)
HANG = (0, 255, 0)
BREAK = (0, 0, 255)
KILL_PARENT = (255, 0, 255)
SLOW = (0, 255, 255)
CRASH_ONCE = (255, 255, 0)
"""Crashes unless the file that `SCRIPTED_MARKER` names exists, which it leaves there."""
SLOW_SECONDS = 0.3
"""How long a page that is `SLOW` takes, unless `SCRIPTED_SLOW_SECONDS` says otherwise."""

# The engine takes these along from the extractor's environment, which its recognising child does not get.
# `SCRIPTED_UPGRADED=1` is the next version of the engine: it reads whatever the script says.
# `SCRIPTED_PAGES_LOG` names a file that gets a line when a page is begun: the time in seconds, and its words.


def picture(words: int = 3, script: tuple[int, int, int] = READ, pages: int = 1, seed: int = 0) -> bytes:
    """An image of so many words: a PNG, or a TIFF when it has several pages. Another seed is another content."""
    images = []
    for page in range(pages):
        image = Image.new("RGB", (max(1, words) * WORD_PIXELS, HEIGHT_PIXELS), script)
        image.putpixel((1, 1), (seed % 256, seed // 256 % 256, page % 256))
        images.append(image)
    buffer = io.BytesIO()
    if pages == 1:
        images[0].save(buffer, "PNG")
    else:
        images[0].save(buffer, "TIFF", save_all=True, append_images=images[1:])
    return buffer.getvalue()


class ScriptedEngine:
    """Follows the script of each page; its words are `word1 word2 ...` on one line."""

    name = "scripted"
    model_version = "1"

    def __init__(self, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self._settings = settings

    def read_page(self, image: NDArray[np.uint8]) -> PageWords:
        """Does what the first pixel says."""
        script = (int(image[0, 0, 0]), int(image[0, 0, 1]), int(image[0, 0, 2]))
        height, width = image.shape[:2]
        self._note(width // WORD_PIXELS)
        self._act(script)
        words = tuple(
            FoundWord(f"word{index + 1}", 0.9, (index * 10.0, 2.0, index * 10.0 + 8, 18.0))
            for index in range(width // WORD_PIXELS)
        )
        return PageWords(words, Frame.as_shown(width, height))

    def _note(self, words: int) -> None:
        pages_log = self._settings.get("SCRIPTED_PAGES_LOG")
        if pages_log is not None:
            with open(pages_log, "a") as log:
                log.write(f"{time.time()} {words}\n")

    def _act(self, script: tuple[int, int, int]) -> None:
        marker = self._settings.get("SCRIPTED_MARKER")
        if self._settings.get("SCRIPTED_UPGRADED"):
            return
        if script == CRASH:
            os.kill(os.getpid(), signal.SIGSEGV)
        elif script == HANG:
            time.sleep(3600)
        elif script == BREAK:
            raise ArithmeticError("the engine is broken")
        elif script == KILL_PARENT:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        elif script == SLOW:
            time.sleep(float(self._settings.get("SCRIPTED_SLOW_SECONDS", SLOW_SECONDS)))
        elif script == CRASH_ONCE and marker is not None and not os.path.exists(marker):
            with open(marker, "w") as file:
                file.write("crashed once")
            os.kill(os.getpid(), signal.SIGSEGV)


def main() -> None:
    """An extractor around this engine."""
    from services.extractor.__main__ import run
    from services.extractor.settings import ExtractorSettings

    # By its name in this module, which the child imports; here it is one of `__main__`.
    from tests.support.scripted_engine import ScriptedEngine

    settings = {name: value for name, value in os.environ.items() if name.startswith("SCRIPTED_")}
    sys.exit(run(ExtractorSettings(), partial(ScriptedEngine, settings)))


if __name__ == "__main__":
    main()
