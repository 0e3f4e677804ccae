"""Python's collector of cycles, set for a process that has started."""

import gc

_YOUNG_OBJECTS_MAX = 10_000
"""Python's own 700 are made by a single request: the collector would run several times for each."""


def settle() -> None:
    """What starting made lives as long as the process: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS_MAX, 20, 20)
