"""Memory that starting took and nobody uses any more."""

import ctypes

from services.runtime import collecting

SETTLED_SECONDS = 2.0
"""When the readers have made their connections."""


def give_back_memory() -> None:
    """Starting leaves garbage and free pages behind, some 7 MB, which the process would keep for good."""
    collecting.settle()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)
