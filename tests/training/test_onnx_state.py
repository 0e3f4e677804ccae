"""An exported file holds all that training needs to go on."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training is not installed here: training/requirements.txt")
pytest.importorskip("doctr", reason="training is not installed here: training/requirements.txt")


def test_recogniser_comes_back_from_its_export_letter_by_letter(tmp_path: Path) -> None:
    from training.export import export_recogniser
    from training.models import build_recogniser
    from training.onnx_state import read_vocabulary
    from training.vocabulary import VOCABULARY

    model = build_recogniser()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    export_recogniser(tmp_path / "weights.pt", tmp_path / "crnn.onnx")

    assert read_vocabulary(tmp_path / "crnn.onnx") == VOCABULARY
    back = build_recogniser(tmp_path / "crnn.onnx").state_dict()
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, back[name]), name


def test_old_classes_keep_their_logits_when_the_vocabulary_grows() -> None:
    from training.models import widen_classes

    state = {"linear.weight": torch.randn(4, 8), "linear.bias": torch.randn(4)}
    wide = widen_classes(state, "abc", "abcdä")
    features = torch.randn(8)
    before = state["linear.weight"] @ features + state["linear.bias"]
    after = wide["linear.weight"] @ features + wide["linear.bias"]
    assert torch.allclose(after[:3], before[:3])
    assert torch.allclose(after[-1], before[-1])


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    from training.models import build_recogniser

    state = build_recogniser().state_dict()
    state["stranger"] = state.pop("feat_extractor.0.0.weight")
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="of another model"):
        build_recogniser(tmp_path / "weights.pt")


def test_detector_comes_back_from_its_export_with_the_threshold_moved(tmp_path: Path) -> None:
    from training.export import export_detector
    from training.models import build_detector

    model = build_detector()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    export_detector(tmp_path / "weights.pt", tmp_path / "db.onnx", text_probability=0.5)

    back = build_detector(tmp_path / "db.onnx").state_dict()
    served = [name for name in back if not name.startswith("thresh_head.") and not name.endswith("num_batches_tracked")]
    bias = "prob_head.6.bias"
    for name in served:
        if name != bias:
            assert torch.equal(model.state_dict()[name], back[name]), name
    # What the model gives one half now stands at three tenths.
    moved = torch.sigmoid(back[bias] - model.state_dict()[bias])
    assert moved.item() == pytest.approx(0.3, abs=1e-4)
