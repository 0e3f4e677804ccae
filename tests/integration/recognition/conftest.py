"""TensorFlow where it is installed, and engines with the shipped weights."""

from __future__ import annotations

import importlib.util
import os
from importlib.metadata import version

import pytest

from services.recognition.engine import Engine, create_engine
from services.recognition.networks import Networks
from services.recognition.weights import Weights, find_weights
from tests.support.coverage import Coverage

THREADS = 2


@pytest.fixture(scope="session")
def tensorflow(coverage: Coverage) -> None:
    """Skips where TensorFlow or docTR 0.12 is missing; with OCR_REQUIRE_TENSORFLOW=1 that is an error."""
    missing = [name for name in ("doctr", "tensorflow", "tf_keras") if importlib.util.find_spec(name) is None]
    if not missing:
        coverage.used("tensorflow", "package", f"python-doctr {version('python-doctr')} on {version('tensorflow')}")
        return
    reason = f"{' and '.join(missing)} not installed; `make install-all` does"
    if os.environ.get("OCR_REQUIRE_TENSORFLOW", "") not in ("", "0"):
        pytest.fail(reason)
    coverage.lacked("tensorflow", reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def full_precision(tensorflow: None, tmp_path_factory: pytest.TempPathFactory) -> Weights:  # noqa: ARG001
    """The shipped ONNX files in full precision, converted."""
    from services.recognition.tensorflow_engine.model_files import SUFFIX
    from training.tensorflow_weights import write_detector, write_recogniser

    exported, folder = find_weights(suffixes=(".onnx",)), tmp_path_factory.mktemp("converted")
    write_detector(exported.detection, folder / f"db_dense{SUFFIX}")
    write_recogniser(exported.recognition, folder / f"crnn_dense{SUFFIX}")
    return find_weights(folder, (SUFFIX,))


@pytest.fixture(scope="session")
def tensorflow_networks(full_precision: Weights) -> Networks:
    from services.recognition.tensorflow_engine.networks import TensorFlowNetworks

    return TensorFlowNetworks(full_precision, THREADS)


@pytest.fixture(scope="session")
def onnx_networks() -> Networks:
    """In full precision: their int8 form rounds."""
    from services.recognition.onnx_engine import OnnxNetworks

    weights = find_weights(suffixes=(".onnx",))
    return OnnxNetworks(weights.detection, weights.recognition, THREADS)


@pytest.fixture(scope="session")
def onnx_engine() -> Engine:
    return create_engine("onnx", threads=THREADS)


@pytest.fixture(scope="session")
def tensorflow_engine(tensorflow: None) -> Engine:  # noqa: ARG001
    return create_engine("tensorflow", threads=THREADS)
