"""The loop that both trainers share: it ends, saves the best, and goes on where it was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training is not installed here: training/requirements.txt")

from training.loop import arguments, begin, train  # noqa: E402


def _build(weights: Path | None) -> Any:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    if weights is not None:
        model.load_state_dict(torch.load(weights, weights_only=True))
    return model


def _trained(folder: Path, scores: list[float], seconds_max: float, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Trains towards twice the input; returns the steps at which it was judged."""
    words = ["--source", "a/b:0.25", "--choose", "c", "--checkpoint-seconds", "0", "--seconds-max", str(seconds_max)]
    monkeypatch.setattr("sys.argv", ["train", "--out", str(folder), *words])
    options = arguments("", peak_rate=0.1)
    assert options.source == [(Path("a/b"), 0.25)]
    run, device = begin(options, _build)
    judged: list[int] = []

    def ones() -> Iterator[int]:
        while True:
            # As if each step took 100 s, whatever the machine.
            run.seconds = (run.step + 1) * 100.0
            yield 1

    def loss_of(batch: int) -> tuple[Any, int]:
        pixels = torch.full((4, 1), float(batch), device=device)
        return (run.model(pixels) - 2 * pixels).square().mean(), 4

    def judge() -> tuple[float, dict[str, float]]:
        judged.append(run.step)
        return scores.pop(0), {"right": 0.5}

    train(options, run, ones(), loss_of, judge)
    return judged


def test_it_ends_keeps_the_best_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _trained(tmp_path, [1.0, 3.0, 2.0], 300, monkeypatch) == [1, 2, 3]
    best = torch.load(tmp_path / "best.pt", weights_only=True)["weight"]
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert (last["step"], last["samples"], last["best"]) == (3, 12, 3.0)
    assert 0 < float(best) < float(last["average"]["weight"]), "the second was the best, the third moved on"

    assert _trained(tmp_path, [2.5, 4.0], 500, monkeypatch) == [4, 5]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert all(line["right"] == 0.5 for line in lines)
    losses = [line["loss"] for line in lines]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
