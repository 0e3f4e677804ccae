"""Everything that reads pages here, behind one function: a file in, its text out. Each is loaded in its own process."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ReadFile = Callable[[Path], str]


class NotToBeHad(Exception):
    """A peer that is not installed, or whose weights cannot be fetched."""


class Untrained(Exception):
    """A peer without its weights: its networks are there with weights by chance, and show speed only.

    read_boxes: the file and N x 4 boxes (x0, y0, x1, y1 in pixels) of its words; what is read means nothing.
    """

    def __init__(self, reason: str, read_boxes: Callable[[Path, list[list[int]]], None]) -> None:
        super().__init__(reason)
        self.read_boxes = read_boxes


def our_engine(name: Any, cores: int) -> ReadFile:
    """One of the two engines of this repository, with the weights that ship."""
    from services.recognition.engine import EngineNotInstalled, create_engine
    from services.recognition.recognise import recognise_file

    try:
        engine = create_engine(name, threads=cores)
    except EngineNotInstalled as error:
        raise NotToBeHad(str(error)) from error
    return lambda path: recognise_file(path, engine).text


def doctr_as_it_comes(cores: int) -> ReadFile:
    """docTR 0.12's predictor on TensorFlow, in its fastest published pair. Raises `Untrained` without weights."""
    del cores  # it takes those that the process may run on
    detector, recogniser = "linknet_resnet18", "crnn_vgg16_bn"
    try:
        from services.recognition.tensorflow_engine.environment import tensorflow
    except ImportError as error:
        raise NotToBeHad(f"{error.name} is not installed") from error
    from doctr.io import DocumentFile
    from doctr.models import detection_predictor, ocr_predictor, recognition_predictor

    try:
        predictor = ocr_predictor(detector, recogniser, pretrained=True)
    except (OSError, ValueError) as error:
        # docTR looks its layers up by names that count on from the first attempt.
        tensorflow.keras.backend.clear_session()
        find = detection_predictor(detector, pretrained=False, pretrained_backbone=False)
        read = recognition_predictor(recogniser, pretrained=False, pretrained_backbone=False)

        def read_boxes(path: Path, boxes: list[list[int]]) -> None:
            (page,) = DocumentFile.from_images(str(path))
            find([page])
            read([page[y0:y1, x0:x1] for x0, y0, x1, y1 in boxes])

        raise Untrained(f"the weights of {detector} and {recogniser} cannot be fetched", read_boxes) from error
    return lambda path: str(predictor(DocumentFile.from_images(str(path))).render())


def onnxtr_as_it_comes(cores: int) -> ReadFile:
    """OnnxTR's predictor in a fast pair of its published models."""
    del cores
    try:
        from onnxtr.io import DocumentFile
        from onnxtr.models import linknet_resnet18, ocr_predictor
    except ImportError as error:
        raise NotToBeHad(f"{error.name} is not installed") from error
    try:
        predictor = ocr_predictor(det_arch=linknet_resnet18(), reco_arch="crnn_mobilenet_v3_small")
    except (OSError, ValueError) as error:
        raise NotToBeHad("its weights cannot be fetched") from error
    return lambda path: str(predictor(DocumentFile.from_images(str(path))).render())


def onnxtr_with_our_models(cores: int) -> ReadFile:
    """OnnxTR's pre- and post-processing around the models that ship here."""
    del cores
    try:
        from onnxtr.io import DocumentFile
        from onnxtr.models import crnn_mobilenet_v3_small, db_mobilenet_v3_large, ocr_predictor
    except ImportError as error:
        raise NotToBeHad(f"{error.name} is not installed") from error
    from services.recognition.weights import find_weights

    weights = find_weights()
    with tempfile.TemporaryDirectory(prefix="ocr-benchmark-") as folder:
        detection, recognition = Path(folder) / "db.onnx", Path(folder) / "crnn.onnx"
        _of_one_size(weights.detection, detection, (1024, 1024))
        vocabulary = _of_one_size(weights.recognition, recognition, (32, 128))["vocabulary"]
        detector = db_mobilenet_v3_large(str(detection))
        recogniser = crnn_mobilenet_v3_small(str(recognition), vocab=vocabulary)
    predictor = ocr_predictor(det_arch=detector, reco_arch=recogniser)
    return lambda path: str(predictor(DocumentFile.from_images(str(path))).render())


def _of_one_size(source: Path, target: Path, sides: tuple[int, int]) -> dict[str, str]:
    """Copy a model with the size of its input fixed, as OnnxTR expects it; returns the model's properties."""
    import onnx

    model = onnx.load(str(source))
    for dimension, side in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], sides, strict=True):
        dimension.dim_value = side
    onnx.save(model, str(target))
    return {entry.key: entry.value for entry in model.metadata_props}


def rapidocr(cores: int) -> ReadFile:
    """RapidOCR with the models in its package, without its angle classifier."""
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise NotToBeHad(f"{error.name} is not installed (`pip install rapidocr`)") from error
    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": cores, "Global.use_cls": False}
    reader = RapidOCR(params={**threads, "Global.log_level": "error"})
    return lambda path: "\n".join(reader(str(path)).txts or ())


def tesseract(cores: int) -> ReadFile:
    """Tesseract's program with its English model, a process a page."""
    program = shutil.which("tesseract")
    if program is None:
        raise NotToBeHad("the program `tesseract` is not installed (Debian: tesseract-ocr)")
    environment = {**os.environ, "OMP_THREAD_LIMIT": str(cores)}

    def read(path: Path) -> str:
        command = [program, str(path), "stdout"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    return read


DOCTR, RAPIDOCR, TESSERACT = "docTR 0.12 on TensorFlow", "RapidOCR", "Tesseract"
READERS: dict[str, Callable[[int], ReadFile]] = {
    "onnx": lambda cores: our_engine("onnx", cores),
    "tensorflow": lambda cores: our_engine("tensorflow", cores),
    DOCTR: doctr_as_it_comes,
    "OnnxTR": onnxtr_as_it_comes,
    "OnnxTR with our models": onnxtr_with_our_models,
    RAPIDOCR: rapidocr,
    TESSERACT: tesseract,
}
OURS = ("onnx", "tensorflow")
