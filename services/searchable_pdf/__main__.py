"""Makes one searchable PDF and ends: `python -m services.searchable_pdf FOLDER`.

The folder holds `source`, the file as it was uploaded, and `layout.json`; `searchable.pdf` is written into it. Files
come from anybody and decoders are native code, so this runs as a process of its own: without credentials, with a
bound of memory and time, and the first to go where memory runs out. What cannot be done is said as JSON on stdout.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path

SOURCE, LAYOUT, TARGET = "source", "layout.json", "searchable.pdf"
EXIT_REFUSED = 3
"""The file cannot be made into one; stdout says why, as `{"code", "reason"}`."""

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """The exit status; `arguments` are the folder, and bounds in bytes and seconds of computing."""
    folder, memory_bytes_max, seconds_max = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    _limit(memory_bytes_max, seconds_max)
    # Loaded within the bounds: they are what decodes.
    from services.recognition.errors import RecognitionError
    from services.searchable_pdf.layout import read_layout
    from services.searchable_pdf.make import make_searchable_pdf

    try:
        make_searchable_pdf(folder / SOURCE, read_layout(folder / LAYOUT), folder / TARGET)
    except RecognitionError as error:
        return _refuse(error.code, error.reason)
    except MemoryError:
        return _refuse("unreadable_document", "Making a searchable PDF of this file takes too much memory.")
    return 0


def _refuse(code: str, reason: str) -> int:
    sys.stdout.write(json.dumps({"code": code, "reason": reason}))
    return EXIT_REFUSED


def _limit(memory_bytes_max: int, seconds_max: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds_max, seconds_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Where the container's memory runs out, this process goes and not the API.
        Path("/proc/self/oom_score_adj").write_text("1000")
    os.nice(5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
