"""What the int8 form of a model says of itself: the weights it computes with, and where it rounds."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="neither training nor TensorFlow is installed here")

from services.recognition.weights import find_weights  # noqa: E402
from training.int8_state import read_int8_state  # noqa: E402
from training.onnx_state import read_onnx_state  # noqa: E402


def test_joined_norms_and_rounding_leave_the_weights_near_those_in_full_precision() -> None:
    int8 = read_int8_state(find_weights().recognition).weights
    full = read_onnx_state(find_weights(suffixes=(".onnx",)).recognition)
    assert int8.keys() == full.keys()

    for name in [name for name in full if full[name].ndim == 4]:
        norm = _norm(name)
        factor = full[f"{norm}.weight"] / np.sqrt(full[f"{norm}.running_var"] + 1e-5)
        joined = full[name] * factor.reshape(-1, 1, 1, 1)
        # A step is a 127th of the largest weight of a channel; rounding is by half of it at most.
        assert np.abs(joined - int8[name]).max() <= 0.51 / 127 * np.abs(joined).max(), name


def _norm(name: str) -> str:
    """The batch norm behind a convolution: the next in its sequence."""
    stem, number, _ = name.rsplit(".", 2)
    return f"{stem}.{int(number) + 1}"


def test_each_rounding_is_named_after_what_it_follows() -> None:
    roundings = read_int8_state(find_weights().recognition).roundings

    assert set(roundings) == {f"feat_extractor.{number}.2.Relu" for number in (0, 1, 3, 4, 6, 7, 9)}
    assert all(0 < rounding.step < 1 for rounding in roundings.values())
    assert all(rounding.zero_point == 0 for rounding in roundings.values()), "a rectifier gives nothing negative"
