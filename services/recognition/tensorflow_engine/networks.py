"""docTR's two models on TensorFlow, each as one graph with its weights as constants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.recognition.networks import (
    CROP_HEIGHT,
    DETECTION_MEAN,
    DETECTION_STD,
    RECOGNITION_MEAN,
    RECOGNITION_STD,
    Item,
    Made,
    normalisation_tables,
)
from services.recognition.tensorflow_engine.environment import limit_threads
from services.recognition.tensorflow_engine.environment import tensorflow as tf
from services.recognition.tensorflow_engine.model_files import load_detector, load_recogniser
from services.recognition.weights import Weights

_DETECTION_TABLES = np.ascontiguousarray(normalisation_tables(DETECTION_MEAN, DETECTION_STD).T)
_RECOGNITION_TABLES = np.ascontiguousarray(normalisation_tables(RECOGNITION_MEAN, RECOGNITION_STD).T)

_Graph = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class TensorFlowNetworks:
    """Both networks of docTR 0.12. The first engine of a process decides how many threads TensorFlow uses."""

    def __init__(self, weights: Weights, threads: int) -> None:
        """Load both models. Raises `WeightsNotFound` where a file does not hold the model that its name says."""
        limit_threads(threads)
        detector, recogniser = load_detector(weights.detection), load_recogniser(weights.recognition)
        self.vocabulary: str = recogniser.vocab
        self._detection = _frozen(lambda pixels: text_logits(detector, pixels), (1, None, None, 3))
        self._recognition = _frozen(lambda crops: character_logits(recogniser, crops), (None, CROP_HEIGHT, None, 3))

    def text_logits(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._detection(_normalised(grey[None], _DETECTION_TABLES))[0, :, :, 0]

    def character_logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._recognition(_normalised(crops, _RECOGNITION_TABLES))

    def side_by_side(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        return map(make, items)  # TensorFlow shares out its threads within a graph


def text_logits(detector: Any, pixels: Any) -> Any:
    """What docTR's detector gives: N x H x W x 3 to N x H x W x 1."""
    return detector(pixels, training=False)["logits"]


def character_logits(recogniser: Any, crops: Any) -> Any:
    """What docTR's `CRNN` gives, for crops of any width: N x H x W x 3 to N x T x classes.

    Its own `call` needs a width that is known when the graph is made: a graph, and a second, for each width.
    """
    columns = tf.transpose(recogniser.feat_extractor(crops, training=False), (0, 2, 1, 3))
    _, _, height, channels = columns.shape
    sequence = tf.reshape(columns, (tf.shape(columns)[0], tf.shape(columns)[1], height * channels))
    return recogniser.decoder(sequence, training=False)


def _normalised(grey: NDArray[np.uint8], tables: NDArray[np.float32]) -> NDArray[np.float32]:
    """N x H x W grey → N x H x W x 3 as the network expects it."""
    return np.asarray(np.take(tables, grey, axis=0), dtype=np.float32)


def _frozen(network: Callable[[Any], Any], shape: tuple[int | None, ...]) -> _Graph:
    """One graph for all inputs of `shape`. With constants for variables, batch norms join the convolutions."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    graph = tf.function(network, autograph=False, input_signature=[tf.TensorSpec(shape, tf.float32)])
    constant = convert_variables_to_constants_v2(graph.get_concrete_function())

    def run(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        (logits,) = constant(tf.constant(inputs))
        return np.asarray(logits.numpy(), dtype=np.float32)

    return run


def load_networks(
    directory: Path | None, detection_model: str | None, recognition_model: str | None, threads: int
) -> tuple[TensorFlowNetworks, str]:
    """The networks of the weights that the settings choose, and their version."""
    from services.recognition.tensorflow_engine.published import choose_weights

    weights = choose_weights(directory, detection_model, recognition_model)
    return TensorFlowNetworks(weights, threads), weights.version
