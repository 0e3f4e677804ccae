"""Write the weights of exported ONNX files as the `.weights.h5` that docTR's classes on TensorFlow load.

usage: python -m training.tensorflow_weights --weights FOLDER [--out FOLDER]

FOLDER holds one detector and one recogniser as `python -m training.export` wrote them; the files beside them get the
same names with `.weights.h5` for ending. Of a model that has an int8 form they hold that form: its weights as they are
after rounding, and how it rounds what flows, so that TensorFlow reads what ONNX Runtime reads. Runs where TensorFlow is
installed (`make install-all`).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from services.recognition.tensorflow_engine.dense_models import build_dense_detector, build_dense_recogniser
from services.recognition.tensorflow_engine.layers import Rounding as RoundingLayer
from services.recognition.tensorflow_engine.layers import keras
from services.recognition.tensorflow_engine.model_files import SUFFIX, VOCABULARY_ATTRIBUTE
from services.recognition.weights import find_weights
from training.int8_state import Int8State, Rounding, read_int8_state
from training.onnx_state import read_onnx_state, read_vocabulary

State = dict[str, NDArray[np.float32]]

INT8_SUFFIX = ".int8.onnx"


class WeightsMismatch(ValueError):
    """The weights are not those of the model."""


def fill_detector(model: Any, state: Int8State) -> None:
    """Put PyTorch's weights into docTR's `DBNet`. Raises `WeightsMismatch`."""
    left, roundings = dict(state.weights), dict(state.roundings)
    for part in (model.feat_extractor, model.fpn, model.probability_head):
        _fill_layers(part, left, roundings)
    _expect_none_left({**left, **roundings})


def fill_recogniser(model: Any, state: Int8State) -> None:
    """Put PyTorch's weights into docTR's `CRNN`. Raises `WeightsMismatch`."""
    left, roundings = dict(state.weights), dict(state.roundings)
    _fill_layers(model.feat_extractor, left, roundings)
    first, second, linear = model.decoder.layers
    for number, layer in enumerate((first, second)):
        arrays = _lstm(left, f"l{number}") + _lstm(left, f"l{number}_reverse")
        _set(layer, f"decoder, layer {number}", arrays)
    _set(linear, "linear", [_take(left, "linear.weight").T, _take(left, "linear.bias")])
    _expect_none_left({**left, **roundings})


def _fill_layers(part: Any, left: State, roundings: dict[str, Rounding]) -> None:
    """Fill all layers of a part that have weights: they bear the names of PyTorch's."""
    for layer in part.layers:
        if isinstance(layer, RoundingLayer):
            if (rounding := roundings.pop(layer.name, None)) is not None:
                # Where there is none, nothing is rounded.
                _set(layer, layer.name, [np.float32(rounding.step), np.float32(rounding.zero_point)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
            _set(layer, layer.name, [_take(left, f"{layer.name}.{name}") for name in names])
        elif isinstance(layer, keras.layers.Conv2D):  # a Conv2DTranspose is one, too
            arrays = [_take(left, f"{layer.name}.weight").transpose(2, 3, 1, 0)]
            if layer.use_bias:
                arrays.append(_take(left, f"{layer.name}.bias"))
            _set(layer, layer.name, arrays)
        elif layer.weights:
            raise WeightsMismatch(f"no rule for the weights of {layer.name}, a {type(layer).__name__}")


def _lstm(left: State, place: str) -> list[NDArray[np.float32]]:
    """Return one direction's arrays: PyTorch orders the gates as Keras does, and has two biases that add up."""
    bias = _take(left, f"decoder.bias_ih_{place}") + _take(left, f"decoder.bias_hh_{place}")
    kernels = (_take(left, f"decoder.weight_{source}_{place}").T for source in ("ih", "hh"))
    return [*kernels, bias]


def _take(left: State, name: str) -> NDArray[np.float32]:
    try:
        return left.pop(name)
    except KeyError:
        raise WeightsMismatch(f"the weights have no {name}: they are of another model") from None


def _set(layer: Any, name: str, arrays: list[Any]) -> None:
    try:
        layer.set_weights(arrays)
    except ValueError as error:
        raise WeightsMismatch(f"the weights of {name} are of another model: {error}") from error


def _expect_none_left(left: dict[str, Any]) -> None:
    if left:
        raise WeightsMismatch(f"the model has no place for {len(left)} weights, such as {sorted(left)[:3]}")


def _read(onnx_file: Path) -> Int8State:
    if onnx_file.name.endswith(INT8_SUFFIX):
        return read_int8_state(onnx_file)
    return Int8State(read_onnx_state(onnx_file), {})


def write_detector(onnx_file: Path, path: Path) -> None:
    """Convert one detector."""
    model = build_dense_detector()
    fill_detector(model, _read(onnx_file))
    model.save_weights(str(path))


def write_recogniser(onnx_file: Path, path: Path) -> None:
    """Convert one recogniser; its characters go with it."""
    vocabulary = read_vocabulary(onnx_file)
    if vocabulary is None:
        raise WeightsMismatch(f"{onnx_file} does not name its characters")
    model = build_dense_recogniser(vocabulary)
    fill_recogniser(model, _read(onnx_file))
    model.save_weights(str(path))
    with h5py.File(path, "r+") as file:
        file.attrs[VOCABULARY_ATTRIBUTE] = vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="default: beside the ONNX files")
    options = parser.parse_args()
    source = find_weights(options.weights)
    out: Path = options.out or options.weights
    out.mkdir(parents=True, exist_ok=True)
    for onnx_file, write in ((source.detection, write_detector), (source.recognition, write_recogniser)):
        path = out / f"{onnx_file.name.partition('.')[0]}{SUFFIX}"
        write(onnx_file, path)
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
