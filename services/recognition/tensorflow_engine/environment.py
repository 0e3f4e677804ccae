"""What has to be set before TensorFlow and docTR are imported: import both from here, and nowhere else first."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

# docTR 0.12 knows Keras 2 only, which TensorFlow takes from tf-keras where it is told so before its import.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
# docTR looks for PyTorch first unless it is told which of the two is meant.
os.environ["USE_TF"] = "1"
os.environ.pop("USE_TORCH", None)
# Without this TensorFlow's runtime tells on stderr which processors it was built for, and that there is no CUDA.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# docTR lets all warnings of deprecation through, its own among them, and sets TensorFlow's logger to debug.
with warnings.catch_warnings(record=True):
    import doctr.file_utils  # noqa: F401  it chooses TensorFlow's Keras
    import tensorflow
    from doctr.models import detection as detection_models
    from doctr.models import recognition as recognition_models
    from doctr.models.detection.differentiable_binarization import tensorflow as dbnet
    from doctr.models.detection.linknet import tensorflow as linknet
    from doctr.models.recognition.crnn import tensorflow as crnn
logging.getLogger("tensorflow").setLevel(logging.ERROR)

DBNet, CRNN = dbnet.DBNet, crnn.CRNN

published_models: dict[str, dict[str, Any]] = {**dbnet.default_cfgs, **linknet.default_cfgs, **crnn.default_cfgs}
"""docTR's models by name: `url` is where their weights are published."""

__all__ = [
    "CRNN",
    "DBNet",
    "detection_models",
    "limit_threads",
    "published_models",
    "recognition_models",
    "tensorflow",
]


def limit_threads(threads: int) -> None:
    """Let every operation use that many threads. Only the first call of a process counts: TensorFlow never changes."""
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        logging.getLogger(__name__).warning("TensorFlow runs already; its number of threads stays as it is")
