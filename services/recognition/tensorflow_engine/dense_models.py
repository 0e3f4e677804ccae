"""The two models that ship, in docTR's classes on TensorFlow; `training/models.py` has them on PyTorch.

docTR's `DBNet` is two networks: on TensorFlow its pyramid has no way down from coarse maps to fine ones, enlarges by
repeating pixels, and has a wider head. Weights that were trained on PyTorch need PyTorch's pyramid and head, which
take the places of TensorFlow's here.
"""

from __future__ import annotations

from services.recognition.networks import (
    CROP_HEIGHT,
    DETECTION_MEAN,
    DETECTION_STD,
    DETECTION_STRIDE,
    RECOGNITION_MEAN,
    RECOGNITION_STD,
)
from services.recognition.tensorflow_engine.environment import CRNN, DBNet
from services.recognition.tensorflow_engine.layers import (
    Tensor,
    block,
    convolution,
    doubled,
    enlarged,
    keras,
    normalisation,
    relu,
    rounded,
)

_STEM_CHANNELS = 16
# Channels and residual blocks at a quarter, an eighth, … of the page.
_STAGES = ((32, 0), (64, 1), (96, 2), (128, 2))
_HEAD_CHANNELS = 48
_LSTM_UNITS = 128


def build_dense_detector() -> DBNet:
    """docTR's `DBNet` over the dense backbone: N x H x W x 3 to N x H x W x 1, sides multiples of 32."""
    backbone = _detection_backbone()
    side = 2 * DETECTION_STRIDE
    model = DBNet(
        backbone,
        exportable=True,
        cfg={"mean": DETECTION_MEAN, "std": DETECTION_STD, "input_shape": (side, side, 3)},
    )
    model.fpn = _pyramid([shape[-1] for shape in backbone.output_shape])
    model.probability_head = _probability_head()
    # It is for training alone, and no export holds its weights.
    model.threshold_head = None
    return _built(model, (1, side, side, 3))


def build_dense_recogniser(vocabulary: str) -> CRNN:
    """docTR's `CRNN` over the dense backbone: N x 32 x W x 3 to N x W/4 x classes, the blank last."""
    width = 2 * CROP_HEIGHT
    model = CRNN(
        _recognition_backbone(),
        vocabulary,
        rnn_units=_LSTM_UNITS,
        exportable=True,
        cfg={"mean": RECOGNITION_MEAN, "std": RECOGNITION_STD, "input_shape": (CROP_HEIGHT, width, 3)},
    )
    return _built(model, (1, CROP_HEIGHT, width, 3))


def _built(model: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """The model after a first call, which makes the variables that a file of weights is loaded into."""
    model(keras.backend.zeros(shape), training=False)
    return model


def _recognition_backbone() -> keras.Model:
    pixels = keras.Input((CROP_HEIGHT, None, 3))
    features = block(pixels, "feat_extractor.0", 24, stride=2)
    features = block(features, "feat_extractor.1", 48)
    features = keras.layers.MaxPool2D((2, 2))(features)
    features = block(features, "feat_extractor.3", 80)
    features = block(features, "feat_extractor.4", 80)
    features = keras.layers.MaxPool2D((2, 1))(features)
    features = block(features, "feat_extractor.6", 128)
    features = block(features, "feat_extractor.7", 128)
    features = keras.layers.MaxPool2D((2, 1))(features)
    features = block(features, "feat_extractor.9", 192, kernel=(2, 3), padding=(0, 1))
    return keras.Model(pixels, features)


def _detection_backbone() -> keras.Model:
    pixels = keras.Input((None, None, 3))
    features = block(pixels, "feat_extractor.stem", _STEM_CHANNELS, stride=2)
    maps = []
    for number, (channels, residual_blocks) in enumerate(_STAGES):
        stage = f"feat_extractor.stages.{number}"
        features = block(features, f"{stage}.0", channels, stride=2)
        for index in range(1, residual_blocks + 1):
            features = _residual_block(features, f"{stage}.{index}", channels)
        maps.append(features)
    return keras.Model(pixels, maps)


def _residual_block(features: Tensor, name: str, channels: int) -> Tensor:
    change = block(features, f"{name}.first", channels)
    change = normalisation(convolution(change, f"{name}.second.0", channels), f"{name}.second.1")
    change = rounded(change, f"{name}.second.1.BatchNormalization")
    return rounded(relu(keras.layers.Add()([features, change])), f"{name}.Relu")


def _pyramid(channels: list[int]) -> keras.Model:
    """docTR's feature pyramid on PyTorch: maps at a quarter, an eighth, … to one at a quarter."""
    maps = [keras.Input((None, None, count)) for count in channels]
    narrowed = [
        block(features, f"fpn.in_branches.{level}", _HEAD_CHANNELS, kernel=(1, 1), padding=(0, 0))
        for level, features in enumerate(maps)
    ]
    for number, level in enumerate(reversed(range(len(narrowed) - 1))):
        both = keras.layers.Add()([enlarged(narrowed[level + 1], 2), narrowed[level]])
        narrowed[level] = rounded(both, f"fpn.Add_{number}" if number else "fpn.Add")
    parts = [
        enlarged(block(features, f"fpn.out_branches.{level}", _HEAD_CHANNELS // len(maps)), 2**level)
        for level, features in enumerate(narrowed)
    ]
    return keras.Model(maps, rounded(keras.layers.Concatenate()(parts), "fpn.Concat"))


def _probability_head() -> keras.Model:
    """docTR's head on PyTorch: a map at a quarter of the page's size to logits at its full size."""
    features = pyramid = keras.Input((None, None, _HEAD_CHANNELS))
    channels = _HEAD_CHANNELS // 4
    features = relu(normalisation(convolution(features, "prob_head.0", channels), "prob_head.1"))
    features = rounded(features, "prob_head.2.Relu")
    features = relu(normalisation(doubled(features, "prob_head.3", channels), "prob_head.4"))
    return keras.Model(pyramid, doubled(features, "prob_head.6", 1, bias=True))
