"""Write trained weights as the ONNX files that the services load.

usage: python -m training.export --recognition FILE --crops STORE --detection FILE --pages STORE … --out FOLDER

FILE is a state dict (.pt) of the trainers or an exported file (.onnx). The networks give raw logits for inputs of
any size; the recogniser names its characters in the file's metadata. Batch norms stay apart from convolutions (ONNX
Runtime joins them when it loads), so that training can go on from the files. Each export is held against PyTorch.
Beside each its int8 form is written, with ranges measured on the crops and on the pages of the stores.
"""

import argparse
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from training.batches import Source, batches
from training.data.crops import CropStore
from training.data.page_store import PageStore
from training.int8 import write_int8
from training.models import build_detector, build_recogniser, in_full_precision
from training.regions import pieces
from training.train_detection import to_tensors
from training.train_recognition import to_input

OPSET = 17
DETECTION_FILE = "db_dense_small.onnx"
RECOGNITION_FILE = "crnn_dense_small.onnx"
DOCTR_TEXT_PROBABILITY = 0.3
"""From which docTR's post-processing counts a pixel as text."""

CALIBRATION_BATCHES, CALIBRATION_PIECES, CALIBRATION_SEED = 48, 48, 3

DIFFERENCE_MAX = 2e-3
"""Between logits of PyTorch and of ONNX Runtime, which join and order sums differently."""


class Logits(nn.Module):  # type: ignore[misc]
    """A docTR model that was built `exportable`, as a function of one tensor to one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits: N x T x classes of crops, N x 1 x H x W of pages."""
        logits: torch.Tensor = self.model(pixels)["logits"]
        return logits


def write_onnx(
    model: nn.Module, path: Path, example: torch.Tensor, axes: dict[str, dict[int, str]], metadata: dict[str, str]
) -> None:
    """Export a model and check that both give the same logits on an input of another size."""
    model.eval()
    model.exportable = True
    network = Logits(model)
    torch.onnx.export(
        network,
        (example,),
        str(path),
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes=axes,
        opset_version=OPSET,
        training=torch.onnx.TrainingMode.PRESERVE,
        dynamo=False,
    )
    exported = onnx.load(str(path))
    _name_as_pytorch(exported)
    onnx.helper.set_model_props(exported, metadata)
    onnx.checker.check_model(exported, full_check=True)
    onnx.save(exported, str(path))
    _compare(network, path, torch.rand(3, 3, example.shape[2], 2 * example.shape[3]))


def _name_as_pytorch(exported: onnx.ModelProto) -> None:
    """Drop the wrapper's prefix from the names of the weights."""
    prefix = "model."
    for tensor in exported.graph.initializer:
        tensor.name = tensor.name.removeprefix(prefix)
    for node in exported.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = name.removeprefix(prefix)


def _compare(network: nn.Module, path: Path, pixels: torch.Tensor) -> None:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"input": pixels.numpy()})
    with torch.inference_mode():
        difference = float(np.abs(network(pixels).numpy() - theirs).max())
    if difference > DIFFERENCE_MAX:
        raise AssertionError(f"{path}: its logits are up to {difference:g} away from PyTorch's")


def export_detector(weights: Path, path: Path, text_probability: float) -> None:
    """Write the detector: N x 3 x H x W, sides multiples of 32, to N x 1 x H x W.

    text_probability: what the model must give to a pixel for docTR's post-processing to count it as text.
    """
    sizes = {0: "pages", 2: "height", 3: "width"}
    model = in_full_precision(build_detector(weights))
    with torch.no_grad():
        model.prob_head[-1].bias -= _logit(text_probability) - _logit(DOCTR_TEXT_PROBABILITY)
    write_onnx(model, path, torch.rand(1, 3, 256, 320), {"input": sizes, "logits": sizes}, {})


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def export_recogniser(weights: Path, path: Path) -> None:
    """Write the recogniser: N x 3 x 32 x W, W a multiple of 4, to N x W/4 x classes."""
    model = in_full_precision(build_recogniser(weights))
    axes = {"input": {0: "crops", 3: "width"}, "logits": {0: "crops", 1: "steps"}}
    write_onnx(model, path, torch.rand(1, 3, 32, 128), axes, {"vocabulary": model.vocab})


def crops_of(store: CropStore) -> Iterator[NDArray[np.float32]]:
    """Yield crops as the recogniser takes them: batches of N x 3 x 32 x W."""
    stream = batches([Source(store, 1.0)], np.random.default_rng(CALIBRATION_SEED))
    for batch in islice(stream, CALIBRATION_BATCHES):
        yield to_input(batch, torch.device("cpu")).contiguous().numpy()


def pieces_of(stores: list[PageStore]) -> Iterator[NDArray[np.float32]]:
    """Yield pieces of pages as the detector takes them: 1 x 3 x H x W."""
    shares = [(store, 1 / len(stores)) for store in stores]
    stream = pieces(shares, np.random.default_rng(CALIBRATION_SEED))
    for piece in islice(stream, CALIBRATION_PIECES):
        yield to_tensors([piece], torch.device("cpu"))[0].contiguous().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recognition", type=Path)
    parser.add_argument("--detection", type=Path)
    parser.add_argument("--crops", type=Path, help="a store that the recogniser was trained on")
    parser.add_argument(
        "--pages", type=Path, action="append", default=[], help="a store that the detector was trained on"
    )
    parser.add_argument("--text-probability", type=float, default=DOCTR_TEXT_PROBABILITY)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.detection is not None and not options.pages:
        parser.error("--detection needs --pages, to measure what flows through the network")
    if options.recognition is not None and options.crops is None:
        parser.error("--recognition needs --crops, to measure what flows through the network")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.detection is not None:
        export_detector(options.detection, options.out / DETECTION_FILE, options.text_probability)
        write_int8(options.out / DETECTION_FILE, pieces_of([PageStore(path) for path in options.pages]))
    if options.recognition is not None:
        export_recogniser(options.recognition, options.out / RECOGNITION_FILE)
        write_int8(options.out / RECOGNITION_FILE, crops_of(CropStore(options.crops)))


if __name__ == "__main__":
    main()
