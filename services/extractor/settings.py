"""Settings of the extractor: environment variables `OCR_EXTRACTOR_...`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_TENSORFLOW_MB = 1500
"""What TensorFlow takes before and beside what any engine takes."""


class ExtractorSettings(BaseSettings):
    """How documents are worked on; prices, limits and addresses are shared settings of the runtime."""

    model_config = SettingsConfigDict(env_prefix="OCR_EXTRACTOR_", env_ignore_empty=True, extra="ignore")

    engine: Literal["onnx", "tensorflow"] = "onnx"
    """`tensorflow` is the reference: same text, slower; it needs the extra `tensorflow`."""
    weights_dir: Path | None = None
    """A folder with one model of each kind; default: `models` in `DOCTR_CACHE_DIR`, or else what ships."""
    detection_model: str | None = None
    """A detector that docTR publishes, such as `db_resnet50` (`tensorflow` only): fetched into `DOCTR_CACHE_DIR`."""
    recognition_model: str | None = None
    """A recogniser that docTR publishes, such as `crnn_vgg16_bn` (`tensorflow` only)."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of the recogniser; default: the cores this process may use."""
    waiting_pages_max: int = Field(default=10, ge=1)
    """A document somebody waits for is passed on to the uploads' lane when it has more pages."""
    uploads_every: int = Field(default=4, ge=2)
    """At least every n-th page is one of an upload, however many are waited for."""
    store_threads: int = Field(default=16, ge=1)
    spool_dir: Path | None = None
    """Where objects lie while they are read, and the name of transactions, which is to outlive a crash; default: the
    system's folder for temporary files."""
    child_memory_mb_max: int = Field(default=1500, ge=100)
    """The recognising child is ended beyond this; keep it well below the container's limit. `tensorflow`: 3000."""
    child_memory_mb_recycle: int = Field(default=900, ge=50)
    """Between two documents a child beyond this is replaced: native memory only grows. `tensorflow`: 2400."""
    child_documents_max: int = Field(default=2000, ge=1)
    drain_seconds_max: float = Field(default=25.0, ge=0)
    refuse_after_seconds: float = Field(default=120.0, gt=0)
    """A record whose store calls fail for so long while those of others succeed ends as refused."""

    @model_validator(mode="after")
    def _allow_for_tensorflow(self) -> Self:
        if self.engine == "tensorflow":
            for name in ("child_memory_mb_max", "child_memory_mb_recycle"):
                if name not in self.model_fields_set:
                    setattr(self, name, getattr(self, name) + _TENSORFLOW_MB)
        return self
