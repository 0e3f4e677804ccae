"""docTR builds depthwise convolutions as convolutions in as many groups as there are channels.

Keras compiles each of these anew and runs it one group after the other; TensorFlow's own operation for the same
kernels is several times faster.
"""

from __future__ import annotations

from typing import Any

from services.recognition.tensorflow_engine.environment import tensorflow as tf
from services.recognition.tensorflow_engine.layers import keras


def make_depthwise(model: Any) -> int:
    """Let every such layer of a model run the real operation; returns how many there are."""
    layers = [layer for layer in _all_layers(model) if _is_depthwise(layer)]
    for layer in layers:
        # What `Conv2D.call` calls where there are groups.
        layer._jit_compiled_convolution_op = _Depthwise(layer)
    return len(layers)


def _all_layers(model: Any) -> list[Any]:
    return [each for each in model.submodules if isinstance(each, keras.layers.Layer)]


def _is_depthwise(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Conv2D) and 1 < layer.groups == layer.filters and layer.kernel.shape[2] == 1


class _Depthwise:
    """The operation in place of a layer's own: features N x H x W x C, kernel h x w x 1 x C."""

    def __init__(self, layer: Any) -> None:
        self._padding = layer.padding.upper()
        self._strides = layer.strides
        self._kernel_sides = layer.kernel_size

    def __call__(self, features: Any, kernel: Any) -> Any:
        filters = tf.transpose(kernel, (0, 1, 3, 2))
        down, across = self._strides
        if down == across:
            return tf.nn.depthwise_conv2d(features, filters, (1, down, across, 1), self._padding)
        # TensorFlow knows no strides that differ: compute all places, and keep those that the strides reach.
        everywhere = tf.nn.depthwise_conv2d(features, filters, (1, 1, 1, 1), self._padding)
        top, left = (self._first(side, stride) for side, stride in zip(self._kernel_sides, self._strides, strict=True))
        return everywhere[:, top::down, left::across]

    def _first(self, kernel_side: int, stride: int) -> int:
        """Which place comes first: "same" pads less in front where the stride is larger (sides divide by it)."""
        if self._padding == "VALID":
            return 0
        return (kernel_side - 1) // 2 - max(kernel_side - stride, 0) // 2
