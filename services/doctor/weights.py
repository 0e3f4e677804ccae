"""The models: are they there, and do they load."""

from pathlib import Path

from services.doctor.findings import Finding, fail, ok, warn


def check_weights(directory: Path | None) -> Finding:
    """Loads both models where a runtime for them is installed, as it is where extractors run."""
    try:
        from services.recognition.engine import EngineNotInstalled, WeightsNotFound, create_engine
    except ImportError:
        return warn(
            "weights",
            "nothing here reads documents, so the models were not looked at",
            "run doctor where the extractor is installed, too; in a clone: pip install '.[extractor]'",
        )
    mend = "correct OCR_EXTRACTOR_WEIGHTS_DIR, or leave it empty for the models that ship with the package"
    try:
        engine = create_engine("onnx", threads=1, weights_dir=directory)
    except EngineNotInstalled as error:
        return warn("weights", str(error), "install it where extractors run")
    except WeightsNotFound as error:
        return fail("weights", str(error), mend)
    except Exception as error:  # the runtime has types of its own for each way a file can be broken
        return fail("weights", f"the models do not load: {error}", mend)
    return ok("weights", engine.model_version)
