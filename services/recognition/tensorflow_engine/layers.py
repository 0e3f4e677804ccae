"""Layers as PyTorch computes them, named as PyTorch names them, so that weights find their places by name."""

from __future__ import annotations

from typing import Any

from services.recognition.tensorflow_engine.environment import tensorflow as tf

# A tensor of Keras while a model is put together; TensorFlow has no types.
Tensor = Any

# PyTorch's; Keras adds 0.001 to a variance.
_NORMALISATION_EPSILON = 1e-5

_STEPS_MAX = 255.0

keras = tf.keras


def convolution(
    features: Tensor,
    name: str,
    channels: int,
    *,
    kernel: tuple[int, int] = (3, 3),
    stride: int = 1,
    padding: tuple[int, int] = (1, 1),
) -> Tensor:
    """Plain convolution without a bias; `padding` zeros on both sides, where Keras' "same" may add one side only."""
    if any(padding):
        features = keras.layers.ZeroPadding2D(padding)(features)
    layer = keras.layers.Conv2D(channels, kernel, strides=stride, use_bias=False, name=name)
    return layer(features)


def normalisation(features: Tensor, name: str) -> Tensor:
    return keras.layers.BatchNormalization(epsilon=_NORMALISATION_EPSILON, name=name)(features)


def relu(features: Tensor) -> Tensor:
    return keras.layers.ReLU()(features)


def block(features: Tensor, name: str, channels: int, **options: Any) -> Tensor:
    """Convolution `name`.0, batch norm `name`.1, ReLU `name`.2."""
    features = normalisation(convolution(features, f"{name}.0", channels, **options), f"{name}.1")
    return rounded(relu(features), f"{name}.2.Relu")


def doubled(features: Tensor, name: str, channels: int, *, bias: bool = False) -> Tensor:
    """Transposed convolution that doubles both sides."""
    return keras.layers.Conv2DTranspose(channels, 2, strides=2, use_bias=bias, name=name)(features)


def rounded(features: Tensor, name: str) -> Tensor:
    """Rounded as the int8 form of the model rounds what operation `name` gives, where its weights say so."""
    return Rounding(name=name)(features)


class Rounding(tf.keras.layers.Layer):  # type: ignore[misc]
    """To one of 256 steps, `zero_point` of them below zero. Weights of a step of zero, as at first: not rounded."""

    def build(self, input_shape: Any) -> None:
        self.step = self.add_weight("step", (), initializer="zeros", trainable=False)
        self.zero_point = self.add_weight("zero_point", (), initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, features: Tensor) -> Tensor:
        # Known when a graph is made, so that a model in full precision has no trace of it.
        with tf.init_scope():
            step, zero_point = float(self.step.numpy()), float(self.zero_point.numpy())
        if not step:
            return tf.identity(features)
        return step * tf.clip_by_value(tf.round(features / step), -zero_point, _STEPS_MAX - zero_point)


def enlarged(features: Tensor, factor: int) -> Tensor:
    """Bilinear, corners on corners; Keras' own layer puts the corners elsewhere."""
    return keras.layers.Lambda(_enlarge, arguments={"factor": factor})(features) if factor > 1 else features


def _enlarge(features: Tensor, factor: int) -> Tensor:
    return _stretch(_stretch(features, 1, factor), 2, factor)


def _stretch(features: Tensor, axis: int, factor: int) -> Tensor:
    """Interpolate along one axis. TensorFlow's operation errs in the fifth digit: it multiplies by a rounded scale."""
    length = tf.shape(features)[axis]
    last, last_after = tf.cast(length - 1, tf.float32), tf.cast(length * factor - 1, tf.float32)
    places = tf.range(length * factor, dtype=tf.float32) * last / last_after
    before = tf.floor(places)
    share = tf.reshape(places - before, (-1, 1, 1) if axis == 1 else (-1, 1))
    left = tf.cast(before, tf.int32)
    near, far = (tf.gather(features, index, axis=axis) for index in (left, tf.minimum(left + 1, length - 1)))
    return near + (far - near) * share
