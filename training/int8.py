"""Int8 of an exported network, for the services: convolutions and LSTMs compute in eight bits, all else stays as it is.

The ranges of what flows between convolutions are measured on real input; LSTMs measure what they are given as they run.
Weights get a scale for each channel.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

INT8_SUFFIX = ".int8.onnx"

# A rectifier and a pooling take the scale of their convolution, or its negative half would waste half of the steps.
_QUANTISED = ["Conv", "Relu", "MaxPool"]


class _Inputs(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Iterator[NDArray[np.float32]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"input": batch}


def write_int8(exported: Path, batches: Iterator[NDArray[np.float32]]) -> Path:
    """Write the int8 form of `exported` beside it, with ranges as `batches` of its input have them.

    The first convolution, which reads pixels, stays in floating point: it is cheap, and all else rests on it.
    """
    written = exported.with_suffix(INT8_SUFFIX)
    metadata = {entry.key: entry.value for entry in onnx.load(str(exported)).metadata_props}
    with TemporaryDirectory() as folder:
        prepared, convolved = (Path(folder) / name for name in ("prepared.onnx", "convolved.onnx"))
        quant_pre_process(str(exported), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(str(prepared)).graph
        first = next(node.name for node in graph.node if node.op_type == "Conv")
        quantize_static(
            str(prepared),
            str(convolved),
            _Inputs(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[first, *_fed_by(graph, first)],
            extra_options={"CalibMovingAverage": True},
        )
        quantize_dynamic(
            str(convolved),
            str(written),
            op_types_to_quantize=["LSTM"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    model = onnx.load(str(written))
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, str(written))
    return written


def _fed_by(graph: onnx.GraphProto, name: str) -> list[str]:
    """Names of the nodes that read what the node of that name writes."""
    outputs = {output for node in graph.node if node.name == name for output in node.output}
    return [node.name for node in graph.node if outputs & set(node.input)]
