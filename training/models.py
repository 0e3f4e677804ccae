"""The two architectures, in docTR's own classes, and how their weights are loaded.

They run on docTR 1.1 (PyTorch) for training; the exported ONNX files and docTR 0.12 (TensorFlow) serve.
"""

import unicodedata
from pathlib import Path
from typing import Any, TypeVar

import torch
from doctr.models.detection.differentiable_binarization.pytorch import DBNet
from doctr.models.recognition.crnn.pytorch import CRNN
from torch import nn

from training.onnx_state import read_onnx_state
from training.vocabulary import DOCTR_FRENCH, VOCABULARY

CROP_HEIGHT = 32
STEP_WIDTH = 4
"""Columns of a crop for one time step of the recogniser."""

RECOGNITION_MEAN, RECOGNITION_STD = (0.694, 0.695, 0.693), (0.299, 0.296, 0.301)
DETECTION_MEAN, DETECTION_STD = (0.798, 0.785, 0.772), (0.264, 0.2749, 0.287)

DETECTION_STEM_CHANNELS = 16
DETECTION_STAGES = ((32, 0), (64, 1), (96, 2), (128, 2))
"""Channels and residual blocks at a quarter, an eighth, … of the page: most work is done where maps are small."""

DETECTION_HEAD_CHANNELS = 48
"""docTR's default is 256; the head dominates the cost of the detector on CPUs."""

INPUT_MAX_PACE = 0.01
"""How fast the range of a convolution's input follows what it is given."""

State = dict[str, torch.Tensor]

Model = TypeVar("Model", bound=nn.Module)


class Int8Convolution(nn.Conv2d):  # type: ignore[misc]
    """A convolution that computes in training what it will compute in int8, so that little changes when it does.

    Its input must not be negative. `input_max`: the running maximum of the input, which int8 shares out in 255 steps.
    """

    input_max: torch.Tensor

    def __init__(self, channels_in: int, channels_out: int, kernel: tuple[int, int], **options: Any) -> None:
        super().__init__(channels_in, channels_out, kernel, **options)
        self.register_buffer("input_max", torch.zeros(()))
        self.register_buffer("zero_points", torch.zeros(channels_out, dtype=torch.int32), persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.training:
            _follow(self.input_max, features.detach())
        if not float(self.input_max):
            return super().forward(features)
        rounded = torch.fake_quantize_per_tensor_affine(features.float(), float(self.input_max) / 255, 0, 0, 255)
        scales = self.weight.detach().abs().amax((1, 2, 3)).clamp(min=1e-8) / 127
        weight = torch.fake_quantize_per_channel_affine(self.weight, scales, self.zero_points, 0, -127, 127)
        return nn.functional.conv2d(rounded, weight, self.bias, self.stride, self.padding)


class Int8Rounding(nn.Module):  # type: ignore[misc]
    """Rounds what flows, of either sign, as int8 will. `input_max`: the running maximum of its absolute values."""

    input_max: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("input_max", torch.zeros(()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.training:
            _follow(self.input_max, features.detach().abs())
        if not float(self.input_max):
            return features
        return torch.fake_quantize_per_tensor_affine(features.float(), float(self.input_max) / 127, 128, 0, 255)


def _follow(running: torch.Tensor, features: torch.Tensor) -> None:
    """Let the running maximum follow that of `features`."""
    largest = features.amax().float()
    running.copy_(largest if not float(running) else running.lerp(largest, INPUT_MAX_PACE))


def _convolution(
    channels_in: int,
    channels_out: int,
    kernel: tuple[int, int] = (3, 3),
    stride: int = 1,
    padding: tuple[int, int] = (1, 1),
    kind: type[nn.Conv2d] = nn.Conv2d,
) -> nn.Sequential:
    convolution = kind(channels_in, channels_out, kernel, stride=stride, padding=padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU())


def dense_backbone() -> nn.Sequential:
    """Return the recogniser's features: N x 3 x 32 x W to N x 192 x 1 x (W/4). Plain convolutions train and run faster
    on CPUs than depthwise ones of the same accuracy."""
    return nn.Sequential(
        _convolution(3, 24, stride=2),
        _convolution(24, 48, kind=Int8Convolution),
        nn.MaxPool2d((2, 2)),
        _convolution(48, 80, kind=Int8Convolution),
        _convolution(80, 80, kind=Int8Convolution),
        nn.MaxPool2d((2, 1)),
        _convolution(80, 128, kind=Int8Convolution),
        _convolution(128, 128, kind=Int8Convolution),
        nn.MaxPool2d((2, 1)),
        _convolution(128, 192, kernel=(2, 3), padding=(0, 1), kind=Int8Convolution),
    )


def build_recogniser(weights: Path | None = None) -> CRNN:
    """Return docTR's CRNN over the dense backbone, from a state dict, a checkpoint or an exported file.

    Weights of docTR's vocabulary `french` are widened to ours.
    """
    model = CRNN(
        dense_backbone(),
        vocab=VOCABULARY,
        rnn_units=128,
        cfg={"mean": RECOGNITION_MEAN, "std": RECOGNITION_STD, "input_shape": (3, CROP_HEIGHT, 128)},
    )
    if weights is not None:
        state = read_state(weights)
        if state["linear.bias"].numel() == len(DOCTR_FRENCH) + 1:
            state = widen_classes(state, DOCTR_FRENCH, VOCABULARY)
        load_state(model, state)
    return model


def in_full_precision(model: Model) -> Model:
    """Return the model without the rounding of int8."""
    for module in model.modules():
        if isinstance(module, Int8Convolution | Int8Rounding):
            module.input_max.zero_()
    return model


class ResidualBlock(nn.Module):  # type: ignore[misc]
    """Two plain convolutions and a way round them: N x C x H x W in and out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, kind=Int8Convolution)
        second = Int8Convolution(channels, channels, (3, 3), padding=1, bias=False)
        self.second = nn.Sequential(second, nn.BatchNorm2d(channels), Int8Rounding())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.relu(features + self.second(self.first(features)))


class DenseDetectionBackbone(nn.Module):  # type: ignore[misc]
    """The detector's features: N x 3 x H x W to a map for each of `DETECTION_STAGES`, by its number."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, DETECTION_STEM_CHANNELS, stride=2)
        self.stages = nn.ModuleList()
        channels_in = DETECTION_STEM_CHANNELS
        for channels, blocks in DETECTION_STAGES:
            halving = _convolution(channels_in, channels, stride=2, kind=Int8Convolution)
            self.stages.append(nn.Sequential(halving, *(ResidualBlock(channels) for _ in range(blocks))))
            channels_in = channels

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.stem(pixels)
        maps = {}
        for number, stage in enumerate(self.stages):
            features = stage(features)
            maps[str(number)] = features
        return maps


def build_detector(weights: Path | None = None) -> DBNet:
    """Return docTR's DBNet over the dense backbone with a narrow head, from weights as `read_state` knows them."""
    model = DBNet(
        DenseDetectionBackbone(),
        head_chans=DETECTION_HEAD_CHANNELS,
        cfg={"mean": DETECTION_MEAN, "std": DETECTION_STD, "input_shape": (3, 1024, 1024)},
    )
    _round_convolutions(model.fpn)
    _round_convolutions(model.prob_head)
    if weights is not None:
        load_state(model, read_state(weights))
    return model


def _round_convolutions(part: nn.Module) -> None:
    """Put `Int8Convolution`s in the places of docTR's own, which all read what a rectifier left."""
    for module in part.modules():
        for name, child in module.named_children():
            if type(child) is nn.Conv2d:
                sizes = child.in_channels, child.out_channels, child.kernel_size
                options = {"stride": child.stride, "padding": child.padding, "bias": child.bias is not None}
                setattr(module, name, Int8Convolution(*sizes, **options))


def read_state(weights: Path) -> State:
    """Read a state dict, the one within a training checkpoint, or the weights of an exported file."""
    if weights.suffix == ".onnx":
        return {name: torch.from_numpy(array) for name, array in read_onnx_state(weights).items()}
    loaded = torch.load(weights, map_location="cpu", weights_only=True)
    state: State = loaded.get("model", loaded)
    return state


def load_state(model: nn.Module, state: State) -> None:
    """Load weights; only what no export holds may be missing, and nothing may be left over."""
    missing, unexpected = model.load_state_dict(state, strict=False)
    lost = [
        name
        for name in missing
        if not name.startswith("thresh_head.") and not name.endswith(("num_batches_tracked", "input_max"))
    ]
    if lost or unexpected:
        raise ValueError(f"these weights are of another model: missing {lost[:3]}, left over {unexpected[:3]}")


def widen_classes(state: State, old: str, new: str) -> State:
    """Return `state` with the last layer's classes of `old` (blank last) moved to their places in `new`.

    A new accented letter starts as its base letter, a little less likely; other new classes start unlikely.
    """
    weight, bias = state["linear.weight"], state["linear.bias"]
    wide_weight = weight.new_zeros(len(new) + 1, weight.shape[1])
    wide_bias = bias.new_full((len(new) + 1,), float(bias.min()) - 2.0)
    for index, character in enumerate(new):
        source = old.find(character)
        if source < 0:
            source = old.find(_base_letter(character))
            wide_weight[index] = 0.8 * weight[source] if source >= 0 else 0.0
            continue
        wide_weight[index], wide_bias[index] = weight[source], bias[source]
    wide_weight[-1], wide_bias[-1] = weight[-1], bias[-1]
    return {**state, "linear.weight": wide_weight, "linear.bias": wide_bias}


def _base_letter(character: str) -> str:
    return unicodedata.normalize("NFD", character)[0]
