"""Which weights the engine `tensorflow` takes, and what it says of those it cannot take."""

from __future__ import annotations

import hashlib
import http.server
import logging
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.recognition.engine import create_engine
from services.recognition.errors import WeightsNotFound
from services.recognition.weights import SHIPPED_DIR, find_weights

pytestmark = pytest.mark.usefixtures("tensorflow")

_SMALL = "crnn_mobilenet_v3_small"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docTR's cache, empty at first."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DOCTR_CACHE_DIR", str(folder))
    return folder / "models"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A docTR model with weights by chance, in a file named as docTR names those it publishes."""
    from services.recognition.tensorflow_engine.environment import recognition_models

    model = getattr(recognition_models, _SMALL)(pretrained=False, pretrained_backbone=False)
    folder = tmp_path_factory.mktemp("published")
    model.save_weights(str(folder / "any.weights.h5"))
    digest = hashlib.sha256((folder / "any.weights.h5").read_bytes()).hexdigest()[:8]
    return (folder / "any.weights.h5").rename(folder / f"{_SMALL}-{digest}.weights.h5")


@pytest.fixture
def address(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that publishes it, and docTR's table that says so."""
    from services.recognition.tensorflow_engine.environment import published_models

    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(published.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{published.name}"
        monkeypatch.setitem(published_models, _SMALL, {**published_models[_SMALL], "url": url})
        yield url
        server.shutdown()


def _choose(directory: Path | None = None, detection: str | None = None, recognition: str | None = None) -> Any:
    from services.recognition.tensorflow_engine.published import choose_weights

    return choose_weights(directory, detection, recognition)


def _copy_shipped(folder: Path, name: str = "") -> None:
    folder.mkdir(parents=True)
    for path in SHIPPED_DIR.glob("*.weights.h5"):
        shutil.copy(path, folder / path.name.replace("_small", f"_small{name}"))


def test_without_settings_the_shipped_weights_are_taken() -> None:
    assert _choose().detection.parent == SHIPPED_DIR


def test_a_folder_comes_before_names_and_the_cache(tmp_path: Path, cache: Path) -> None:
    _copy_shipped(cache)
    _copy_shipped(tmp_path / "mine")

    assert _choose(tmp_path / "mine", None, _SMALL).recognition.parent == tmp_path / "mine"


def test_models_in_the_cache_come_before_those_shipped(cache: Path) -> None:
    _copy_shipped(cache)

    assert _choose().recognition.parent == cache
    assert find_weights().recognition.parent == SHIPPED_DIR, "there is none for the other engine in it"


@pytest.mark.usefixtures("address")
def test_a_published_model_is_fetched_once_and_read(cache: Path, published: Path) -> None:
    weights = _choose(recognition=_SMALL)
    assert weights.recognition == cache / published.name
    assert weights.recognition.read_bytes() == published.read_bytes()
    assert [path.name for path in cache.iterdir()] == [published.name], "nothing half-done lies about"

    published.rename(published.with_suffix(".gone"))
    try:
        assert _choose(recognition=_SMALL).recognition == cache / published.name
        engine = create_engine("tensorflow", recognition_model=_SMALL)
    finally:
        published.with_suffix(".gone").rename(published)
    assert engine.model_version.startswith("db_dense")
    assert published.name.partition(".")[0] in engine.model_version
    engine.read_page(np.asarray(_striped_page(), dtype=np.uint8))


def _striped_page() -> Any:
    page = np.full((320, 320, 3), 255, dtype=np.uint8)
    page[40:300:20, 20:300:7] = 0
    return page


def test_what_cannot_be_reached_is_told_and_the_shipped_weights_are_taken(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from services.recognition.tensorflow_engine.environment import published_models

    monkeypatch.setitem(published_models[_SMALL], "url", address.replace(_SMALL, "crnn_gone"))
    with caplog.at_level(logging.WARNING):
        weights = _choose(recognition=_SMALL)

    assert weights.recognition.parent == SHIPPED_DIR
    assert _SMALL in caplog.text
    assert "404" in caplog.text


def test_a_file_that_is_not_the_one_of_that_name_is_not_kept(
    cache: Path, published: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.recognition.tensorflow_engine.environment import published_models

    other = published.with_name(f"{_SMALL}-00000000.weights.h5")
    shutil.copy(published, other)
    monkeypatch.setitem(published_models[_SMALL], "url", address.replace(published.name, other.name))

    assert _choose(recognition=_SMALL).recognition.parent == SHIPPED_DIR
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", ["parseq", "crnn_mobilenet_v3_huge", "db_resnet50"])
def test_a_name_that_is_no_recogniser_is_refused(name: str) -> None:
    with pytest.raises(WeightsNotFound, match=_SMALL):
        create_engine("tensorflow", recognition_model=name)


def test_the_engine_onnx_reads_no_published_weights() -> None:
    with pytest.raises(WeightsNotFound, match="tensorflow"):
        create_engine("onnx", recognition_model=_SMALL)


def test_a_folder_without_models_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match=r"exactly one detection model.*weights\.h5"):
        create_engine("tensorflow", weights_dir=tmp_path)


@pytest.mark.parametrize("damage", ["empty", "other model", "unknown model"])
def test_a_file_that_does_not_hold_its_model_is_told(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "mine"
    _copy_shipped(folder)
    recogniser = find_weights(folder, (".weights.h5",)).recognition
    if damage == "empty":
        recogniser.write_bytes(b"")
    elif damage == "other model":
        shutil.copy(find_weights(folder, (".weights.h5",)).detection, recogniser)
    else:
        recogniser.rename(folder / "crnn_of_somebody.weights.h5")

    with pytest.raises(WeightsNotFound, match="crnn_"):
        create_engine("tensorflow", weights_dir=folder)


def test_weights_of_another_model_are_not_converted(tmp_path: Path) -> None:
    from training.tensorflow_weights import WeightsMismatch, write_detector

    with pytest.raises(WeightsMismatch):
        write_detector(find_weights(suffixes=(".onnx",)).recognition, tmp_path / "db_dense.weights.h5")


def test_depthwise_convolutions_compute_what_doctrs_compute() -> None:
    from services.recognition.tensorflow_engine.depthwise import make_depthwise
    from services.recognition.tensorflow_engine.environment import recognition_models

    model = getattr(recognition_models, _SMALL)(pretrained=False, pretrained_backbone=False, exportable=True)
    crops = np.random.default_rng(4).normal(0, 1, (2, 32, 128, 3)).astype(np.float32)
    grouped = model(crops, training=False)["logits"].numpy()
    count = make_depthwise(model)
    real = model(crops, training=False)["logits"].numpy()

    assert count == 11, "one in each of its blocks"
    assert np.abs(grouped).max() > 0.01
    assert np.abs(real - grouped).max() <= 1e-5 * max(1.0, float(np.abs(grouped).max()))
