"""Read an int8 form back: its weights by their PyTorch names, and where it rounds what flows between convolutions.

The int8 form has its batch norms joined to its convolutions; they come back as norms that only add a bias.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from training.onnx_state import Weights, read_onnx_state

_JOINED_WEIGHT, _JOINED_BIAS = "ConvBnFusion_W_", "ConvBnFusion_BN_B_"
# PyTorch adds this to a variance.
_NORMALISATION_EPSILON = 1e-5


@dataclass(frozen=True)
class Rounding:
    """Eight bits for a tensor: steps of `step`, of which `zero_point` lie below zero and 255 - `zero_point` above."""

    step: float
    zero_point: int


@dataclass(frozen=True)
class Int8State:
    """Weights by PyTorch's names, as int8 has them; roundings by the module and the operation that they follow."""

    weights: dict[str, Weights]
    roundings: dict[str, Rounding]


def read_int8_state(path: Path) -> Int8State:
    """Read the file that `training.int8` wrote."""
    graph = onnx.load(str(path)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    weights = {name: array for name, array in read_onnx_state(path).items() if name.startswith(("decoder.", "linear."))}
    roundings = {}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            weights |= _convolution(node, arrays, producers)
        # A pooling has the rounding of what it pools.
        if node.op_type == "QuantizeLinear" and "/MaxPool_output" not in node.input[0]:
            step, zero_point = (arrays[name] for name in node.input[1:])
            roundings[_place(node.input[0])] = Rounding(float(step), int(zero_point))
    return Int8State(weights, roundings)


def _convolution(
    node: onnx.NodeProto, arrays: dict[str, NDArray[Any]], producers: dict[str, onnx.NodeProto]
) -> dict[str, Weights]:
    """Return the arrays of a convolution, and of the batch norm that was joined to it."""
    (kernel_name, kernel), (bias_name, bias) = (_array(name, arrays, producers) for name in node.input[1:])
    state = {kernel_name.removeprefix(_JOINED_WEIGHT): kernel}
    if not bias_name.startswith(_JOINED_BIAS):
        return state | {bias_name: bias}
    norm = bias_name.removeprefix(_JOINED_BIAS).removesuffix(".bias")
    ones = np.ones_like(bias)
    return state | {
        f"{norm}.weight": ones,
        f"{norm}.bias": bias,
        f"{norm}.running_mean": np.zeros_like(bias),
        f"{norm}.running_var": ones - np.float32(_NORMALISATION_EPSILON),
    }


def _array(name: str, arrays: dict[str, NDArray[Any]], producers: dict[str, onnx.NodeProto]) -> tuple[str, Weights]:
    """Return an input's name in full precision, and its values: those of an int8 array times its scale."""
    if name in arrays:
        return name, arrays[name].astype(np.float32)
    node = producers[name]
    quantised, scale, zero_point = (arrays[each] for each in node.input)
    sides = (-1,) + (1,) * (quantised.ndim - 1)
    centred = quantised.astype(np.float32) - zero_point.astype(np.float32).reshape(sides)
    return name.removesuffix("_DequantizeLinear_Output"), (centred * scale.reshape(sides)).astype(np.float32)


def _place(tensor: str) -> str:
    """Return `a.b.1.2.Relu` for `/model/a/b.1/b.1.2/Relu_output_0`: elements repeat what they go on from."""
    *modules, operation = tensor.removeprefix("/model/").removesuffix("_output_0").split("/")
    names, before = [], ""
    for module in modules:
        names.append(module.removeprefix(f"{before}.") if before else module)
        before = module
    return ".".join([*names, operation])
