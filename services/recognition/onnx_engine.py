"""The default engine: docTR's models, exported to ONNX, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.recognition.networks import (
    DETECTION_MEAN,
    DETECTION_STD,
    RECOGNITION_MEAN,
    RECOGNITION_STD,
    Item,
    Made,
    normalisation_tables,
)
from services.recognition.vocabulary import VOCABULARY_FRENCH

_DETECTION_TABLES = normalisation_tables(DETECTION_MEAN, DETECTION_STD)
_RECOGNITION_TABLES = normalisation_tables(RECOGNITION_MEAN, RECOGNITION_STD)

# A model may name its characters and so have other ones than docTR's `french`.
_VOCABULARY_KEY = "vocabulary"

# Runs of a network side by side, each on its own threads: each holds a tile's or a batch's activations in memory.
_RUNS_MAX = 4


class OnnxNetworks:
    """Both networks as ONNX Runtime sessions.

    Several runs with one thread each use the cores better than one run with several threads, which wait for each
    other within every operator: 1.5 times as fast on two cores.
    """

    def __init__(self, detection: Path, recognition: Path, threads: int) -> None:
        runs = max(1, min(threads, _RUNS_MAX))
        self._detection = _session(detection, threads // runs)
        self._recognition = _session(recognition, threads // runs)
        self._runs = ThreadPoolExecutor(runs, thread_name_prefix="onnx") if runs > 1 else None
        metadata = self._recognition.get_modelmeta().custom_metadata_map
        self.vocabulary: str = metadata.get(_VOCABULARY_KEY, VOCABULARY_FRENCH)

    def text_logits(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = _run(self._detection, _normalised(grey[None], _DETECTION_TABLES))
        return np.asarray(logits[0, 0], dtype=np.float32)

    def character_logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _run(self._recognition, _normalised(crops, _RECOGNITION_TABLES))

    def side_by_side(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        return map(make, items) if self._runs is None else self._runs.map(make, items)


def _normalised(grey: NDArray[np.uint8], tables: NDArray[np.float32]) -> NDArray[np.float32]:
    """N x H x W grey → N x 3 x H x W as the network expects it."""
    count, height, width = grey.shape
    channels = np.empty((count, len(tables), height, width), dtype=np.float32)
    for channel, table in enumerate(tables):
        np.take(table, grey, out=channels[:, channel])
    return channels


def _run(session: onnxruntime.InferenceSession, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    name = session.get_inputs()[0].name
    result: NDArray[np.float32] = session.run(None, {name: inputs})[0]
    return result


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A plan of memory would be kept for each shape of input, and pages come in all shapes: 90 MB after 62 receipts.
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors; its warnings speak of devices that are not there
    provider = ("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})
    return onnxruntime.InferenceSession(str(path), sess_options=options, providers=[provider])
