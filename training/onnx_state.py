"""Read the weights of a shipped ONNX file back under their PyTorch names, so that training goes on from it.

The export keeps batch norms apart from convolutions and names the initialisers as PyTorch does; only the LSTM's
and the last layer's weights are laid out in ONNX's way and have to be brought back.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Weights = NDArray[np.float32]

# ONNX orders an LSTM's gates input, output, forget, cell; PyTorch input, forget, cell, output.
_PYTORCH_FROM_ONNX_GATES = (0, 2, 3, 1)


def read_onnx_state(path: Path) -> dict[str, Weights]:
    """Return the arrays of an exported detector or recogniser by the names of its PyTorch state dict.

    What an export leaves out is not there: a detector's threshold head, and the counters of batch norms.
    """
    graph = onnx.load(str(path)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    named = {name: array for name, array in arrays.items() if "::" not in name}
    for layer, node in enumerate(node for node in graph.node if node.op_type in ("LSTM", "DynamicQuantizeLSTM")):
        read = _lstm_weights if node.op_type == "LSTM" else _int8_lstm_weights
        named |= _lstm_layer(layer, *read(node, arrays))
    for node in graph.node:
        # The last linear layer: features times the transposed weight.
        if node.op_type == "MatMul" and node.input[1] in arrays:
            named["linear.weight"] = arrays[node.input[1]].T
    return {name: np.array(array) for name, array in named.items()}


def read_vocabulary(path: Path) -> str | None:
    """Return the characters of a recogniser's classes as its file names them."""
    properties = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    return properties.get("vocabulary")


def _lstm_weights(node: onnx.NodeProto, arrays: dict[str, Weights]) -> tuple[Weights, Weights, Weights]:
    """Return an LSTM's weights of inputs and of the recurrence, and its biases, as the node holds them."""
    inputs, recurrent, biases = (arrays[name] for name in node.input[1:4])
    return inputs, recurrent, biases


def _int8_lstm_weights(node: onnx.NodeProto, arrays: dict[str, Weights]) -> tuple[Weights, Weights, Weights]:
    """Return the same of an LSTM in int8, which holds the weights transposed, with a scale for each unit of a gate."""
    inputs, recurrent, biases = _lstm_weights(node, arrays)
    scales = [arrays[node.input[index]][:, None] for index in (8, 10)]
    zero_points = [arrays[node.input[index]][:, None].astype(np.float32) for index in (9, 11)]
    inputs, recurrent = (
        ((weights - zero_point) * scale).transpose(0, 2, 1)
        for weights, zero_point, scale in zip((inputs, recurrent), zero_points, scales, strict=True)
    )
    return inputs, recurrent, biases


def _lstm_layer(layer: int, inputs: Weights, recurrent: Weights, biases: Weights) -> dict[str, Weights]:
    """Undo the export of one bidirectional layer: 2 x 4H x I, 2 x 4H x H and 2 x 8H to PyTorch's eight arrays."""
    state = {}
    for direction, suffix in enumerate(("", "_reverse")):
        place = f"l{layer}{suffix}"
        state[f"decoder.weight_ih_{place}"] = _reordered(inputs[direction])
        state[f"decoder.weight_hh_{place}"] = _reordered(recurrent[direction])
        bias_inputs, bias_recurrent = np.split(biases[direction], 2)
        state[f"decoder.bias_ih_{place}"] = _reordered(bias_inputs)
        state[f"decoder.bias_hh_{place}"] = _reordered(bias_recurrent)
    return state


def _reordered(gates: Weights) -> Weights:
    parts = np.split(gates, 4)
    return np.concatenate([parts[index] for index in _PYTORCH_FROM_ONNX_GATES])
