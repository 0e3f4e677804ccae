"""From a file of weights to docTR's model. The file's name says which model: `crnn_vgg16_bn-9c188f45.weights.h5`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from services.recognition.errors import WeightsNotFound
from services.recognition.tensorflow_engine.dense_models import build_dense_detector, build_dense_recogniser
from services.recognition.tensorflow_engine.depthwise import make_depthwise
from services.recognition.tensorflow_engine.environment import detection_models, recognition_models
from services.recognition.vocabulary import VOCABULARY_FRENCH

SUFFIX = ".weights.h5"
VOCABULARY_ATTRIBUTE = "vocabulary"

DENSE_DETECTOR = "db_dense"
DENSE_RECOGNISER = "crnn_dense"

# docTR's models that give what the pipeline reads: DBNet's map of text, and CTC classes by column.
DETECTION_MODELS = ("db_mobilenet_v3_large", "db_resnet50", "linknet_resnet18", "linknet_resnet34", "linknet_resnet50")
RECOGNITION_MODELS = ("crnn_mobilenet_v3_small", "crnn_mobilenet_v3_large", "crnn_vgg16_bn")


def load_detector(path: Path) -> Any:
    """A docTR model that gives logits, with the file's weights. Raises `WeightsNotFound`."""
    name = model_name(path)
    if name.startswith(DENSE_DETECTOR):
        model = build_dense_detector()
    else:
        model = _zoo_model(detection_models, DETECTION_MODELS, name, path)
    return _loaded(model, path)


def load_recogniser(path: Path) -> Any:
    """A docTR `CRNN` that gives logits, with the file's weights and characters. Raises `WeightsNotFound`."""
    name = model_name(path)
    if name.startswith(DENSE_RECOGNISER):
        with _unreadable_is_not_found(path):
            model = build_dense_recogniser(read_vocabulary(path) or VOCABULARY_FRENCH)
    else:
        model = _zoo_model(recognition_models, RECOGNITION_MODELS, name, path)
    return _loaded(model, path)


def model_name(path: Path) -> str:
    """The file's name without its ending and without docTR's digest."""
    return path.name.removesuffix(SUFFIX).rsplit("-", 1)[0]


def read_vocabulary(path: Path) -> str | None:
    """The characters of a recogniser's classes where its file names them."""
    with h5py.File(path, "r") as file:
        named = file.attrs.get(VOCABULARY_ATTRIBUTE)
    return None if named is None else str(named)


def _zoo_model(zoo: Any, known: tuple[str, ...], name: str, path: Path) -> Any:
    if name not in known:
        ours = f"{DENSE_DETECTOR}*, {DENSE_RECOGNISER}*"
        raise WeightsNotFound(f"{path}: {name} is no model this engine knows: {', '.join(known)}, {ours}.")
    # docTR fetches a backbone that was trained on photographs unless it is told not to.
    model = getattr(zoo, name)(pretrained=False, pretrained_backbone=False, exportable=True)
    make_depthwise(model)
    return model


def _loaded(model: Any, path: Path) -> Any:
    with _unreadable_is_not_found(path):
        model.from_pretrained(str(path))
    return model


@contextlib.contextmanager
def _unreadable_is_not_found(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise WeightsNotFound(f"{path} does not hold the weights of {model_name(path)}: {error}") from error
