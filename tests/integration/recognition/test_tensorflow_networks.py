"""docTR on TensorFlow computes what ONNX Runtime computes, from the files that ship."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.recognition.networks import Networks
from services.recognition.weights import Weights, find_weights
from tests.integration.recognition.conftest import THREADS
from tests.integration.recognition.pages import varied_pages

_LOGITS_DIFFER_MAX = 1e-4


def _noise(seed: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _page() -> NDArray[np.uint8]:
    name, image = next(varied_pages())
    assert name.startswith("0_letter")
    return np.ascontiguousarray(image[:896, :960, 0])


@pytest.mark.parametrize("shape", [(32, 32), (64, 512), (512, 64), (416, 608)])
def test_detectors_agree_on_noise(
    shape: tuple[int, int], tensorflow_networks: Networks, onnx_networks: Networks
) -> None:
    grey = _noise(1, shape)
    theirs, ours = tensorflow_networks.text_logits(grey), onnx_networks.text_logits(grey)

    assert theirs.shape == ours.shape == shape
    assert theirs.dtype == ours.dtype == np.float32
    assert np.abs(theirs - ours).max() <= _LOGITS_DIFFER_MAX


def test_detectors_agree_on_a_page(tensorflow_networks: Networks, onnx_networks: Networks) -> None:
    page = _page()
    theirs, ours = tensorflow_networks.text_logits(page), onnx_networks.text_logits(page)

    assert (ours > 0).mean() > 0.02, "there is text on it"
    assert np.abs(theirs - ours).max() <= _LOGITS_DIFFER_MAX


@pytest.mark.parametrize(("count", "width"), [(1, 64), (3, 96), (17, 128), (2, 1024)])
def test_recognisers_agree(count: int, width: int, tensorflow_networks: Networks, onnx_networks: Networks) -> None:
    page = _page()
    crops = np.stack([page[y : y + 32, :width] for y in range(300, 300 + 16 * count, 16)])
    crops = np.pad(crops, ((0, 0), (0, 0), (0, width - crops.shape[2])))
    theirs, ours = tensorflow_networks.character_logits(crops), onnx_networks.character_logits(crops)

    assert theirs.shape == ours.shape == (count, width // 4, len(onnx_networks.vocabulary) + 1)
    assert np.abs(theirs - ours).max() <= _LOGITS_DIFFER_MAX


def test_both_recognisers_have_the_same_characters(tensorflow_networks: Networks, onnx_networks: Networks) -> None:
    assert tensorflow_networks.vocabulary == onnx_networks.vocabulary


def test_our_graphs_compute_what_doctrs_own_call_computes(
    full_precision: Weights, tensorflow_networks: Networks
) -> None:
    from services.recognition.tensorflow_engine import networks as tensorflow_side
    from services.recognition.tensorflow_engine.environment import CRNN, DBNet
    from services.recognition.tensorflow_engine.model_files import load_detector, load_recogniser

    detector, recogniser = load_detector(full_precision.detection), load_recogniser(full_precision.recognition)
    assert isinstance(detector, DBNet)
    assert isinstance(recogniser, CRNN)

    page, crops = _noise(2, (96, 160)), _noise(3, (5, 32, 64))
    pixels = tensorflow_side._normalised(page[None], tensorflow_side._DETECTION_TABLES)
    called = detector(pixels, training=False)["logits"].numpy()[0, :, :, 0]
    assert np.abs(called - tensorflow_networks.text_logits(page)).max() <= _LOGITS_DIFFER_MAX

    pixels = tensorflow_side._normalised(crops, tensorflow_side._RECOGNITION_TABLES)
    called = recogniser(pixels, training=False)["logits"].numpy()
    assert np.abs(called - tensorflow_networks.character_logits(crops)).max() <= _LOGITS_DIFFER_MAX


@pytest.fixture(scope="module")
def int8_networks(tensorflow: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Networks, Networks]:  # noqa: ARG001
    """TensorFlow's and ONNX Runtime's networks in int8: the shipped recogniser, a detector made for the test."""
    from services.recognition.onnx_engine import _DETECTION_TABLES, OnnxNetworks
    from services.recognition.onnx_engine import _normalised as onnx_normalised
    from services.recognition.tensorflow_engine.model_files import SUFFIX
    from services.recognition.tensorflow_engine.networks import TensorFlowNetworks
    from training.int8 import write_int8
    from training.tensorflow_weights import write_detector, write_recogniser

    folder, recogniser = tmp_path_factory.mktemp("int8"), find_weights().recognition
    assert recogniser.name.endswith(".int8.onnx")
    exported = Path(shutil.copy(find_weights(suffixes=(".onnx",)).detection, folder / "db_dense.onnx"))
    detector = write_int8(exported, iter([onnx_normalised(_page()[None], _DETECTION_TABLES)]))
    write_detector(detector, folder / f"db_dense{SUFFIX}")
    write_recogniser(recogniser, folder / f"crnn_dense{SUFFIX}")
    theirs = TensorFlowNetworks(find_weights(folder, (SUFFIX,)), THREADS)
    return theirs, OnnxNetworks(detector, recogniser, THREADS)


def test_int8_rounds_alike_on_both(int8_networks: tuple[Networks, Networks], onnx_networks: Networks) -> None:
    """A sum that lies between two steps may go either way, so not each logit is the same; without rounding few are.

    What an LSTM is given is rounded on ONNX Runtime only, to steps that it chooses as it runs.
    """
    page = _page()
    crops = np.stack([page[y : y + 32, :160] for y in range(300, 620, 16)])
    for network, inputs, share_max in (("text_logits", page, 0.2), ("character_logits", crops, 0.4)):
        theirs, ours, unrounded = (getattr(each, network)(inputs) for each in (*int8_networks, onnx_networks))
        rounding = np.abs(ours - unrounded).mean()

        assert rounding > 0.01
        assert np.abs(theirs - ours).mean() < share_max * rounding, network


@pytest.mark.usefixtures("tensorflow")
def test_the_shipped_files_hold_the_same_weights(tmp_path: Path) -> None:
    from services.recognition.tensorflow_engine.model_files import SUFFIX, read_vocabulary
    from training.onnx_state import read_vocabulary as read_onnx_vocabulary
    from training.tensorflow_weights import write_detector, write_recogniser

    onnx_files, shipped = find_weights(), find_weights(suffixes=(SUFFIX,))
    write_detector(onnx_files.detection, tmp_path / f"db_dense{SUFFIX}")
    write_recogniser(onnx_files.recognition, tmp_path / f"crnn_dense{SUFFIX}")
    converted = find_weights(tmp_path, (SUFFIX,))

    assert _arrays(shipped.detection) == _arrays(converted.detection)
    assert _arrays(shipped.recognition) == _arrays(converted.recognition)
    assert read_vocabulary(shipped.recognition) == read_onnx_vocabulary(onnx_files.recognition)


def _arrays(path: Path) -> dict[str, bytes]:
    """All arrays of a file, by where they stand in it."""
    import h5py

    arrays: dict[str, bytes] = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, node: arrays.update({name: node[()].tobytes()} if hasattr(node, "dtype") else {}))
    assert len(arrays) > 20
    return arrays
