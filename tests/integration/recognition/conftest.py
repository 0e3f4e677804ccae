"""TensorFlow where it is installed, and engines with the shipped weights."""

from __future__ import annotations

import importlib.util
import os
from importlib.metadata import version

import pytest

from services.recognition.engine import Engine, create_engine
from services.recognition.networks import Networks
from services.recognition.weights import find_weights
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
def tensorflow_networks(tensorflow: None) -> Networks:  # noqa: ARG001
    from services.recognition.tensorflow_engine.model_files import SUFFIX
    from services.recognition.tensorflow_engine.networks import TensorFlowNetworks

    return TensorFlowNetworks(find_weights(suffixes=(SUFFIX,)), THREADS)


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
